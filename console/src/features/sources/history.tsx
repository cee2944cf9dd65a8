'use client';

import type { Source, SyncRun } from '@oaas/commons/client/pm';
import { useQuery } from '@tanstack/react-query';
import { History, Undo2 } from 'lucide-react';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { columnsOf, DataTable } from '../../ui/data-table.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { formatMs } from '../../ui/format.ts';
import { Banner, Empty, Failed, SkeletonLines } from '../../ui/states.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { useListState } from '../../ui/use-search.ts';
import { failureOf } from '../data/failure.ts';
import { keys } from '../data/keys.ts';
import { usePm } from '../data/provider.tsx';
import { useList } from '../data/use-list.ts';
import { shortCommit } from '../deployments/record.ts';
import { PlanView } from '../plans/plan-view.tsx';
import { useRollbackSource } from './actions.ts';
import { CommitBy, CommitLine, SummaryTags } from './parts.tsx';
import { runView, summaryText, triggerWords } from './source.ts';

const spec = { filters: [], sort: '' };

/** Runs of a source, newest first; every commit that was applied once can be returned to. */
export function HistoryView({ source }: { readonly source: Source }) {
  const pm = usePm();
  const [state, setState] = useListState(spec);
  const [target, setTarget] = useState<SyncRun | null>(null);
  const page = useList(
    state,
    (query) => keys.runList(source.name, query),
    (query, signal) => pm.listRuns(source.name, query, signal),
  );
  const columns = [
    ...baseColumns,
    helper.display({
      id: 'actions',
      header: () => <span className="sr-only">Actions</span>,
      meta: { align: 'end' },
      cell: ({ row: { original: run } }) => (
        <Button
          size="sm"
          disabledReason={rollbackReason(source, run)}
          onClick={() => setTarget(run)}
          aria-label={`Roll back to ${shortCommit(run.commit.id)}`}
        >
          <Undo2 aria-hidden="true" /> Roll back
        </Button>
      ),
    }),
  ];
  return (
    <>
      <DataTable
        label="Runs"
        noun="runs"
        columns={columns}
        page={page}
        rowId={(run) => run.id}
        state={state}
        onState={setState}
        empty={<Empty icon={<History aria-hidden="true" />} title="No run yet" />}
      />
      {target === null ? null : <RollbackDialog source={source} run={target} onClose={() => setTarget(null)} />}
    </>
  );
}

/** Why a run cannot be gone back to; null where it can. */
function rollbackReason(source: Source, run: SyncRun): string | null {
  if (run.phase === 'Refused') return 'This commit was refused: it never ran';
  if (run.phase === 'Running') return 'This commit is being applied';
  if (run.commit.id === source.applied_commit?.id) return 'This commit is what runs now';
  return null;
}

const helper = columnsOf<SyncRun>();
const baseColumns = helper.columns([
  helper.accessor('phase', {
    header: 'Result',
    cell: ({ row: { original: run } }) => {
      const { tone, word } = runView(run.phase);
      return (
        <Status tone={tone} title={run.message}>
          {word}
        </Status>
      );
    },
  }),
  helper.accessor('commit', {
    header: 'Commit',
    meta: { className: 'max-w-96' },
    cell: ({ getValue }) => (
      <div className="flex min-w-48 flex-col">
        <CommitLine commit={getValue()} className="max-w-full" />
        <CommitBy commit={getValue()} />
      </div>
    ),
  }),
  helper.accessor('summary', {
    header: 'Changes',
    meta: { from: 'lg' },
    cell: ({ getValue }) => <SummaryTags summary={getValue()} />,
  }),
  helper.accessor('trigger', {
    header: 'Trigger',
    meta: { from: 'md' },
    cell: ({ row: { original: run } }) => (
      <span className="whitespace-nowrap">
        {triggerWords[run.trigger]} <span className="text-ink-3">{run.actor}</span>
      </span>
    ),
  }),
  helper.accessor('duration_ms', {
    header: 'Took',
    meta: { align: 'end', from: 'md', className: 'whitespace-nowrap' },
    cell: ({ getValue }) => {
      const ms = getValue();
      return ms === null ? '—' : formatMs(ms);
    },
  }),
  helper.accessor('started_at', {
    header: 'Started',
    meta: { align: 'end', from: 'sm', className: 'whitespace-nowrap text-ink-2' },
    cell: ({ getValue }) => <Ago at={getValue()} />,
  }),
]);

/** Shows what the rollback does before it is done: PM plans the old commit without applying it. */
function RollbackDialog({
  source,
  run,
  onClose,
}: {
  readonly source: Source;
  readonly run: SyncRun;
  readonly onClose: () => void;
}) {
  const pm = usePm();
  const rollback = useRollbackSource(onClose);
  const commit = run.commit.id;
  const plan = useQuery({
    queryKey: ['rollback-plan', source.name, commit],
    queryFn: () => pm.createPlan(source.name, { commit }),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  const summary = plan.data?.summary;
  const reason =
    plan.data === undefined
      ? 'The plan is not there yet'
      : plan.data.verdict === 'refused'
        ? 'This commit is refused now'
        : null;
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={`Roll ${source.name} back to ${shortCommit(commit)}?`}
      description={run.commit.message.split('\n')[0]}
      className="max-w-3xl"
      footer={
        <>
          <span className="mr-auto text-xs text-ink-2">
            {summary === undefined ? null : `Will do: ${summaryText(summary)}.`}
          </span>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind="danger"
            busy={rollback.isPending}
            disabledReason={reason}
            onClick={() => rollback.mutate({ name: source.name, commit })}
          >
            Roll back
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <Banner tone="warn" title="The source stays at this commit">
          Newer commits are not applied until somebody resumes the source.
        </Banner>
        {plan.data === undefined ? (
          plan.error === null ? (
            <SkeletonLines lines={4} />
          ) : (
            <Failed failure={failureOf(plan.error)} onRetry={() => void plan.refetch()} />
          )
        ) : (
          <PlanView plan={plan.data} />
        )}
      </div>
    </Dialog>
  );
}
