import type { Commit, PlanSummary, SyncRun } from '@oaas/commons/client/pm';
import { GitCommitHorizontal } from 'lucide-react';
import { cn } from '../../ui/cn.ts';
import { Meter } from '../../ui/meter.tsx';
import { Status, Tag } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { shortCommit } from '../deployments/record.ts';
import { clusterPhaseView, summaryParts, summaryText } from './source.ts';

/** A commit in one line. */
export function CommitLine({ commit, className }: { readonly commit: Commit; readonly className?: string }) {
  return (
    <span
      className={cn('inline-flex min-w-0 items-center gap-1.5', className)}
      title={`${commit.id}\n${commit.author}`}
    >
      <GitCommitHorizontal className="size-3.5 shrink-0 text-ink-3" aria-hidden="true" />
      <code className="text-xs">{shortCommit(commit.id)}</code>
      <span className="truncate text-ink-2">{commit.message.split('\n')[0]}</span>
    </span>
  );
}

/** What a plan does, in signs and numbers. */
export function SummaryTags({ summary, all }: { readonly summary: PlanSummary; readonly all?: boolean }) {
  const parts = summaryParts.filter((part) => summary[part.name] > 0 && (all === true || part.name !== 'unchanged'));
  if (parts.length === 0) return <span className="text-ink-3">{summaryText(summary)}</span>;
  return (
    <span className="inline-flex flex-wrap gap-1">
      {parts.map((part) => (
        <Tag key={part.name} tone={part.tone}>
          <span aria-hidden="true">{part.sign}</span>
          {summary[part.name]} {part.word}
        </Tag>
      ))}
    </span>
  );
}

/** How far each cluster has come with a run. */
export function ClusterProgress({ run }: { readonly run: SyncRun }) {
  return (
    <ul className="grid grid-cols-[repeat(auto-fill,minmax(15rem,1fr))] gap-x-8 gap-y-3">
      {run.clusters.map((cluster) => {
        const { tone, word } = clusterPhaseView(cluster.phase);
        return (
          <li
            key={cluster.environment}
            className="flex min-w-0 flex-col gap-1.5"
            data-testid={`progress-${cluster.environment}`}
          >
            <div className="flex items-center gap-2">
              <span className="font-medium">{cluster.environment}</span>
              <Status tone={tone} className="text-xs">
                {word}
              </Status>
              <span className="ml-auto text-xs text-ink-2">
                {cluster.applied}/{cluster.total}
              </span>
            </div>
            <Meter
              label={`Applied in ${cluster.environment}`}
              total={cluster.total}
              parts={[
                { tone: 'ok', value: cluster.applied, word: 'applied' },
                { tone: 'bad', value: cluster.failed, word: 'failed' },
              ]}
            />
            {cluster.message === '' ? null : <p className="text-xs break-words text-ink-3">{cluster.message}</p>}
          </li>
        );
      })}
    </ul>
  );
}

/** Who wrote it and when. */
export function CommitBy({ commit }: { readonly commit: Commit }) {
  return (
    <span className="text-xs text-ink-3">
      {commit.author.replace(/ <.*>$/, '')}, <Ago at={commit.committed_at} />
    </span>
  );
}
