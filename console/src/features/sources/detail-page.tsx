'use client';

import type { Source, SyncRun } from '@oaas/commons/client/pm';
import { useQuery } from '@tanstack/react-query';
import { Ellipsis, Pause, Pencil, Play, RefreshCw, Trash2 } from 'lucide-react';
import { useRouter } from 'next/navigation';
import { useState } from 'react';
import { Button, IconButton } from '../../ui/button.tsx';
import { Menu, MenuItem, MenuLine } from '../../ui/menu.tsx';
import { PageHeader, Panel } from '../../ui/panel.tsx';
import { Banner, SkeletonLines } from '../../ui/states.tsx';
import { Glyph, Status } from '../../ui/status.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { Ago } from '../../ui/time.tsx';
import { useSearchValue } from '../../ui/use-search.ts';
import { keys } from '../data/keys.ts';
import { Loaded } from '../data/loaded.tsx';
import { usePm } from '../data/provider.tsx';
import { problemCount } from '../plans/documents.ts';
import { DocumentsView } from '../plans/documents-view.tsx';
import { PlanView } from '../plans/plan-view.tsx';
import { useResumeSource, useSyncSource } from './actions.ts';
import { DeleteDialog, SuspendDialog } from './dialogs.tsx';
import { HistoryView } from './history.tsx';
import { NotThere } from '../data/not-there.tsx';
import { ClusterProgress, CommitBy, CommitLine, SummaryTags } from './parts.tsx';
import { SettingsView } from './settings.tsx';
import { SourceDialog } from './source-dialog.tsx';
import { commitTrail, phaseView, refText, runView } from './source.ts';

export function SourcePage({ name }: { readonly name: string }) {
  const pm = usePm();
  const source = useQuery({ queryKey: keys.source(name), queryFn: ({ signal }) => pm.getSource(name, signal) });
  return (
    <Loaded
      query={source}
      skeleton={<SkeletonLines lines={8} className="max-w-2xl" />}
      notFound={<NotThere what="source" name={name} back="/sources" />}
    >
      {(data) => <SourceDetail source={data} />}
    </Loaded>
  );
}

function SourceDetail({ source }: { readonly source: Source }) {
  const { tone, word } = phaseView(source.phase);
  return (
    <>
      <PageHeader
        title={source.name}
        status={
          <Status tone={tone} className="text-base">
            <span data-testid="source-phase">{word}</span>
          </Status>
        }
        subtitle={
          <>
            <span className="break-all">{source.url}</span>
            <span>
              follows <span className="font-medium text-ink">{refText(source.ref)}</span>
            </span>
            {source.path === '' ? null : (
              <span>
                folder <span className="font-medium text-ink">{source.path}</span>
              </span>
            )}
            <span className="text-ink-3">
              checked <Ago at={source.last_checked_at} />
            </span>
          </>
        }
        actions={<Actions source={source} />}
      />
      <Notices source={source} />
      <Trail source={source} />
      <Progress source={source} />
      <Content source={source} />
    </>
  );
}

function Actions({ source }: { readonly source: Source }) {
  const router = useRouter();
  const sync = useSyncSource();
  const resume = useResumeSource();
  const [dialog, setDialog] = useState<'suspend' | 'edit' | 'delete' | null>(null);
  const close = (open: boolean) => {
    if (!open) setDialog(null);
  };
  const held = source.suspended !== null || source.pinned !== null;
  return (
    <>
      {held ? (
        <Button busy={resume.isPending} onClick={() => resume.mutate(source.name)}>
          <Play aria-hidden="true" /> Resume
        </Button>
      ) : (
        <Button onClick={() => setDialog('suspend')}>
          <Pause aria-hidden="true" /> Suspend
        </Button>
      )}
      <Button
        kind="primary"
        busy={sync.isPending}
        disabledReason={source.suspended === null ? null : 'Suspended: resume the source first'}
        onClick={() => sync.mutate(source.name)}
      >
        {sync.isPending ? null : <RefreshCw aria-hidden="true" />} Sync now
      </Button>
      <Menu
        trigger={
          <IconButton label="More actions" kind="secondary">
            <Ellipsis aria-hidden="true" />
          </IconButton>
        }
      >
        <MenuItem onSelect={() => setDialog('edit')}>
          <Pencil aria-hidden="true" /> Edit
        </MenuItem>
        <MenuLine />
        <MenuItem danger onSelect={() => setDialog('delete')}>
          <Trash2 aria-hidden="true" /> Delete
        </MenuItem>
      </Menu>
      <SuspendDialog source={source} open={dialog === 'suspend'} onOpenChange={close} />
      <SourceDialog source={source} open={dialog === 'edit'} onOpenChange={close} />
      <DeleteDialog
        source={source}
        open={dialog === 'delete'}
        onOpenChange={close}
        onDeleted={() => router.push('/sources')}
      />
    </>
  );
}

function Notices({ source }: { readonly source: Source }) {
  return (
    <>
      {source.suspended === null ? null : (
        <Banner tone="idle" title="Suspended: new commits are not applied">
          {source.suspended.reason === '' ? 'No reason given' : source.suspended.reason}, by {source.suspended.by},{' '}
          <Ago at={source.suspended.at} />.
        </Banner>
      )}
      {source.pinned === null ? null : (
        <Banner tone="warn" title={`Pinned to ${source.pinned.commit.slice(0, 8)} by a rollback`}>
          It stays there until the source is resumed. By {source.pinned.by}, <Ago at={source.pinned.at} />.
        </Banner>
      )}
      {source.phase === 'Refused' || source.phase === 'Failed' || source.phase === 'Stalled' ? (
        <Banner
          tone="bad"
          title={
            {
              Refused: 'The newest commit is refused; what runs did not change',
              Failed: 'The last run failed',
              Stalled: 'The repository cannot be read',
            }[source.phase]
          }
        >
          {source.message}
        </Banner>
      ) : null}
      {source.phase !== 'Refused' && (source.plan_summary?.hold ?? 0) > 0 ? (
        <Banner tone="hold" title={holdTitle(source.plan_summary?.hold ?? 0)}>
          They are listed first in the plan below; open one to read the consequence and confirm.
        </Banner>
      ) : null}
    </>
  );
}

function holdTitle(count: number): string {
  return count === 1
    ? 'One of its deployments waits for a confirmation'
    : `${count} of its deployments wait for a confirmation`;
}

/** Where the commit is on its way from Git to every cluster. */
function Trail({ source }: { readonly source: Source }) {
  return (
    <ol
      className="grid grid-cols-3 gap-px overflow-hidden rounded-lg border bg-line shadow-card max-md:grid-cols-1"
      aria-label="Way of the commit"
    >
      {commitTrail(source).map((station) => (
        <li
          key={station.name}
          className="flex min-w-0 flex-col gap-1 bg-surface px-4 py-3"
          data-testid={`commit-${station.name.toLowerCase()}`}
          data-commit={station.commit?.id ?? ''}
        >
          <p className="flex items-center gap-1.5 text-xs text-ink-3">
            <Glyph tone={station.tone} className="size-3" />
            <span className="font-medium text-ink-2">{station.name}</span>
            {station.meaning}
          </p>
          {station.commit === null ? (
            <p className="text-ink-3">none yet</p>
          ) : (
            <>
              <CommitLine commit={station.commit} />
              <CommitBy commit={station.commit} />
            </>
          )}
        </li>
      ))}
    </ol>
  );
}

function useLastRun(name: string): SyncRun | undefined {
  const pm = usePm();
  const query = { limit: 1 };
  const runs = useQuery({
    queryKey: keys.runList(name, query),
    queryFn: ({ signal }) => pm.listRuns(name, query, signal),
  });
  return runs.data?.items[0];
}

function Progress({ source }: { readonly source: Source }) {
  const run = useLastRun(source.name);
  if (run === undefined || run.clusters.length === 0) return null;
  const { tone, word } = runView(run.phase);
  return (
    <Panel
      title={
        <span className="flex flex-wrap items-center gap-x-3">
          {run.phase === 'Running' ? 'Applying' : 'Last run'}
          <Status tone={tone} className="text-xs">
            {word}
          </Status>
          <span className="text-xs font-normal text-ink-3">
            <Ago at={run.started_at} />
          </span>
        </span>
      }
      actions={<SummaryTags summary={run.summary} />}
    >
      <ClusterProgress run={run} />
    </Panel>
  );
}

function Content({ source }: { readonly source: Source }) {
  const [tab, setTab] = useSearchValue('tab', source.phase === 'Refused' ? 'documents' : 'plan');
  const pm = usePm();
  const planId = source.plan_id;
  const plan = useQuery({
    queryKey: keys.plan(planId ?? ''),
    queryFn: ({ signal }) => pm.getPlan(planId ?? '', signal),
    enabled: planId !== null,
  });
  const none = <p className="p-4 text-ink-2">No commit of this source has been planned yet.</p>;
  const problems = plan.data === undefined ? null : problemCount(plan.data);
  return (
    <Tabs
      label="Parts of the source"
      value={tab}
      onChange={setTab}
      tabs={[
        {
          id: 'plan',
          label: 'Plan',
          content: planId === null ? none : <Loaded query={plan}>{(data) => <PlanView plan={data} />}</Loaded>,
        },
        {
          id: 'documents',
          label: 'Documents',
          count: plan.data?.documents.length,
          mark:
            problems === null || problems.errors + problems.warnings === 0 ? null : (
              <Glyph tone={problems.errors > 0 ? 'bad' : 'warn'} />
            ),
          content: planId === null ? none : <Loaded query={plan}>{(data) => <DocumentsView plan={data} />}</Loaded>,
        },
        { id: 'history', label: 'History', content: <HistoryView source={source} /> },
        { id: 'settings', label: 'Conditions and settings', content: <SettingsView source={source} /> },
      ]}
    />
  );
}
