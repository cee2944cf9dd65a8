'use client';

import type { Source } from '@oaas/commons/client/pm';
import { GitBranch, Plus, RefreshCw } from 'lucide-react';
import { useState } from 'react';
import { Button, IconButton } from '../../ui/button.tsx';
import { columnsOf, DataTable } from '../../ui/data-table.tsx';
import { SearchInput, Select } from '../../ui/field.tsx';
import { withFilter, withQuery } from '../../ui/list-state.ts';
import { PageLink } from '../../ui/page-link.tsx';
import { PageHeader } from '../../ui/panel.tsx';
import { Empty } from '../../ui/states.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { useListState } from '../../ui/use-search.ts';
import { keys } from '../data/keys.ts';
import { usePm } from '../data/provider.tsx';
import { useList } from '../data/use-list.ts';
import { useSyncSource } from './actions.ts';
import { SourceDialog } from './source-dialog.tsx';
import { CommitLine, SummaryTags } from './parts.tsx';
import { phaseView, refText, sourcePhases } from './source.ts';

const spec = { filters: ['phase'], sort: 'name' };

export function SourcesPage() {
  const pm = usePm();
  const [state, setState] = useListState(spec);
  const [adding, setAdding] = useState(false);
  const page = useList(state, keys.sourceList, (query, signal) => pm.listSources(query, signal));
  return (
    <>
      <PageHeader
        title="Sources"
        subtitle="Git repositories that hold what should run."
        actions={
          <Button kind="primary" onClick={() => setAdding(true)}>
            <Plus aria-hidden="true" /> Add source
          </Button>
        }
      />
      <DataTable
        label="Sources"
        noun="sources"
        columns={columns}
        page={page}
        rowId={(source) => source.name}
        state={state}
        onState={setState}
        toolbar={
          <>
            <SearchInput
              label="Search sources"
              className="w-72 max-sm:w-full"
              value={state.q}
              onChange={(event) => setState(withQuery(state, event.target.value))}
            />
            <Select
              aria-label="Phase"
              value={state.filter['phase'] ?? ''}
              onChange={(event) => setState(withFilter(state, 'phase', event.target.value))}
            >
              <option value="">Every phase</option>
              {sourcePhases.map((phase) => (
                <option key={phase} value={phase}>
                  {phaseView(phase).word}
                </option>
              ))}
            </Select>
          </>
        }
        empty={
          <Empty
            icon={<GitBranch aria-hidden="true" />}
            title="No source yet"
            action={
              <Button kind="primary" onClick={() => setAdding(true)}>
                <Plus aria-hidden="true" /> Add source
              </Button>
            }
          >
            A source is a Git repository with package YAML. From its first commit on, what it says is what runs.
          </Empty>
        }
      />
      <SourceDialog open={adding} onOpenChange={setAdding} source={null} />
    </>
  );
}

const helper = columnsOf<Source>();
const columns = helper.columns([
  helper.accessor('name', {
    header: 'Source',
    meta: { sort: 'name' },
    cell: ({ row: { original: source } }) => (
      <div className="min-w-40">
        <PageLink href={`/sources/${encodeURIComponent(source.name)}`} className="row-link font-medium">
          {source.name}
        </PageLink>
        <p className="max-w-80 truncate text-xs text-ink-3" title={source.url}>
          {source.url.replace(/^https?:\/\//, '')} <span aria-hidden="true">@</span> {refText(source.ref)}
        </p>
      </div>
    ),
  }),
  helper.accessor('phase', {
    header: 'Phase',
    meta: { sort: 'phase' },
    cell: ({ row: { original: source } }) => {
      const { tone, word } = phaseView(source.phase);
      return (
        <Status tone={tone} title={source.message}>
          {source.pinned === null ? word : `${word}, pinned`}
        </Status>
      );
    },
  }),
  helper.accessor('applied_commit', {
    header: 'Applied commit',
    meta: { from: 'md', className: 'max-w-72' },
    cell: ({ getValue }) => {
      const commit = getValue();
      return commit === null ? (
        <span className="text-ink-3">none yet</span>
      ) : (
        <CommitLine commit={commit} className="max-w-full" />
      );
    },
  }),
  helper.accessor('plan_summary', {
    header: 'Last plan',
    meta: { from: 'lg' },
    cell: ({ getValue }) => {
      const summary = getValue();
      return summary === null ? <span className="text-ink-3">none yet</span> : <SummaryTags summary={summary} />;
    },
  }),
  helper.accessor('packages', { header: 'Packages', meta: { align: 'end', from: 'sm', sort: 'packages' } }),
  helper.accessor('last_checked_at', {
    header: 'Checked',
    meta: { align: 'end', from: 'sm', sort: 'last_checked_at', className: 'whitespace-nowrap text-ink-2' },
    cell: ({ getValue }) => <Ago at={getValue()} />,
  }),
  helper.display({
    id: 'actions',
    header: () => <span className="sr-only">Actions</span>,
    meta: { align: 'end', className: 'w-10' },
    cell: ({ row }) => <SyncButton source={row.original} />,
  }),
]);

function SyncButton({ source }: { readonly source: Source }) {
  const sync = useSyncSource();
  return (
    <IconButton
      label={`Sync ${source.name} now`}
      className="relative z-10"
      busy={sync.isPending}
      disabledReason={source.suspended === null ? null : 'Suspended: resume the source first'}
      onClick={() => sync.mutate(source.name)}
    >
      {sync.isPending ? null : <RefreshCw aria-hidden="true" />}
    </IconButton>
  );
}
