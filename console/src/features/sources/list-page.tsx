'use client';

import type { Source } from '@oaas/commons/client/pm';
import { GitBranch, Plus, RefreshCw } from 'lucide-react';
import { useState } from 'react';
import { Button, IconButton } from '../../ui/button.tsx';
import { columnsOf } from '../../ui/data-table.tsx';
import { FilterSelect } from '../../ui/filter-select.tsx';
import { PageLink } from '../../ui/page-link.tsx';
import { Empty } from '../../ui/states.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { keys } from '../data/keys.ts';
import { ListPage } from '../data/list-page.tsx';
import { useSyncSource } from './actions.ts';
import { SourceDialog } from './source-dialog.tsx';
import { CommitLine, SummaryTags } from './parts.tsx';
import { phaseView, refText, sourcePhases } from './source.ts';

const spec = { filters: ['phase'], sort: 'name' };

export function SourcesPage() {
  const [adding, setAdding] = useState(false);
  const add = (
    <Button kind="primary" onClick={() => setAdding(true)}>
      <Plus aria-hidden="true" /> Add source
    </Button>
  );
  return (
    <>
      <ListPage
        title="Sources"
        subtitle="Git repositories that hold what should run."
        actions={add}
        noun="sources"
        spec={spec}
        queryKey={keys.sourceList}
        read={(pm, query, signal) => pm.listSources(query, signal)}
        columns={columns}
        rowId={(source) => source.name}
        filters={(filters) => (
          <FilterSelect
            label="Phase"
            any="Every phase"
            options={sourcePhases.map((phase) => [phase, phaseView(phase).word])}
            value={filters.get('phase')}
            onChange={(value) => filters.set('phase', value)}
          />
        )}
        empty={
          <Empty icon={<GitBranch aria-hidden="true" />} title="No source yet" action={add}>
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
