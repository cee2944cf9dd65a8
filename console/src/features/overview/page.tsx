'use client';

import type { ClusterView, Overview, SyncRun } from '@oaas/commons/client/pm';
import { useQuery } from '@tanstack/react-query';
import { ArrowRight, Database, Gauge, GitBranch, GitCompareArrows, HeartPulse, type LucideIcon } from 'lucide-react';
import { cn } from '../../ui/cn.ts';
import { formatBytes, formatCompact, formatMs, plural } from '../../ui/format.ts';
import { Meter } from '../../ui/meter.tsx';
import { PageLink } from '../../ui/page-link.tsx';
import { PageHeader, Panel } from '../../ui/panel.tsx';
import { Empty, Skeleton, SkeletonLines } from '../../ui/states.tsx';
import { Glyph, Status, Tag } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { connectionView } from '../clusters/cluster.ts';
import { keys } from '../data/keys.ts';
import { Loaded } from '../data/loaded.tsx';
import { usePm } from '../data/provider.tsx';
import { CommitLine } from '../sources/parts.tsx';
import { clusterPhaseView, runView, summaryText, triggerWords } from '../sources/source.ts';
import { NfrStation } from './nfr.tsx';
import { stations, type StationView } from './overview.ts';

export function OverviewPage() {
  const pm = usePm();
  const overview = useQuery({ queryKey: keys.overview, queryFn: ({ signal }) => pm.overview(signal) });
  return (
    <>
      <PageHeader title="Overview" />
      <Loaded query={overview} skeleton={<OverviewSkeleton />}>
        {(data) => (
          <>
            <Strip overview={data} />
            <div className="grid grid-cols-[minmax(0,3fr)_minmax(0,2fr)] items-start gap-5 max-lg:grid-cols-1">
              <div className="flex min-w-0 flex-col gap-5">
                <Attention items={data.attention} />
                <Clusters />
              </div>
              <div className="flex min-w-0 flex-col gap-5">
                <CommitToApplied figures={data.commit_to_applied_ms} runs={data.recent_runs} />
                <RecentRuns runs={data.recent_runs} />
              </div>
            </div>
          </>
        )}
      </Loaded>
    </>
  );
}

const icons: Record<StationView['id'], LucideIcon> = {
  git: GitBranch,
  sync: GitCompareArrows,
  health: HeartPulse,
  data: Database,
};

/** From Git to the grid: the axes of everything at once, in the order in which a change passes them. */
function Strip({ overview }: { readonly overview: Overview }) {
  return (
    <section
      aria-label="State of the platform"
      className="grid grid-cols-5 gap-px overflow-hidden rounded-lg border bg-line shadow-card max-xl:grid-cols-3 max-md:grid-cols-2"
    >
      {stations(overview).map((station) => (
        <StripCell key={station.id} icon={icons[station.id]} title={station.title} href={station.href}>
          <p className="flex items-baseline gap-1.5">
            <span className="text-2xl font-semibold tracking-tight">{formatCompact(station.good)}</span>
            <span className="text-ink-3">of {formatCompact(station.total)}</span>
          </p>
          <p className="text-xs text-ink-2">{station.unit}</p>
          <Meter
            label={station.title}
            total={station.total}
            parts={[{ tone: 'ok', value: station.good, word: station.unit }, ...station.rest]}
            className="my-1.5"
          />
          <p className="flex flex-wrap gap-x-3 text-xs">
            {station.rest.map((part) => (
              <PageLink
                key={part.word}
                href={part.href}
                className="relative z-10 inline-flex min-h-6 items-center hover:underline"
              >
                <Status tone={part.tone} className="text-xs">
                  {formatCompact(part.value)} {part.word}
                </Status>
              </PageLink>
            ))}
            {station.id === 'data' ? (
              <span className="inline-flex min-h-6 items-center text-ink-3">
                {formatCompact(overview.data.objects)} objects, {formatBytes(overview.data.bytes)}
              </span>
            ) : null}
          </p>
        </StripCell>
      ))}
      <StripCell icon={Gauge} title="NFR" href="/deployments?nfr=Violated">
        <NfrStation />
      </StripCell>
    </section>
  );
}

function StripCell({
  icon: Icon,
  title,
  href,
  children,
}: {
  readonly icon: LucideIcon;
  readonly title: string;
  readonly href: string;
  readonly children: React.ReactNode;
}) {
  return (
    <div className="group relative flex min-w-0 flex-col gap-0.5 bg-surface p-4 last:max-xl:col-span-2 hover:bg-hover">
      <h2 className="mb-1 flex items-center gap-1.5 text-xs font-medium text-ink-2">
        <Icon className="size-3.5 text-ink-3" aria-hidden="true" />
        <PageLink href={href} className="row-link">
          {title}
        </PageLink>
        <ArrowRight className="ml-auto size-3.5 text-ink-3 opacity-0 group-hover:opacity-100" aria-hidden="true" />
      </h2>
      {children}
    </div>
  );
}

function Attention({ items }: { readonly items: Overview['attention'] }) {
  return (
    <Panel title="Needs attention" flush actions={items.length === 0 ? null : <Tag tone="idle">{items.length}</Tag>}>
      {items.length === 0 ? (
        <div className="flex items-center gap-2 p-4 text-ink-2">
          <Glyph tone="ok" /> Nothing needs you now.
        </div>
      ) : (
        <ul data-testid="attention">
          {items.map((item) => (
            <li
              key={`${item.link} ${item.title}`}
              className="group relative flex items-start gap-3 border-b px-4 py-2.5 last:border-b-0 hover:bg-hover"
            >
              <Glyph tone={item.severity === 'error' ? 'bad' : 'warn'} className="mt-[3px]" />
              <div className="min-w-0 flex-1">
                <PageLink href={item.link.startsWith('/') ? item.link : '/'} className="row-link font-medium">
                  <span className="sr-only">{item.severity}: </span>
                  {item.title}
                </PageLink>
                <p className="break-words text-ink-2">{item.detail}</p>
              </div>
              <ArrowRight
                className="mt-0.5 size-4 shrink-0 text-ink-3 opacity-0 group-hover:opacity-100"
                aria-hidden="true"
              />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function RecentRuns({ runs }: { readonly runs: readonly SyncRun[] }) {
  return (
    <Panel title="Recent runs" flush>
      {runs.length === 0 ? (
        <Empty title="No run yet">A run begins when a source sees a commit.</Empty>
      ) : (
        <ol className="relative" data-testid="recent-runs">
          {runs.map((run) => {
            const { tone, word } = runView(run.phase);
            return (
              <li
                key={run.id}
                className="relative flex items-start gap-3 border-b px-4 py-2.5 last:border-b-0 hover:bg-hover"
              >
                <Glyph tone={tone} className="mt-[3px]" />
                <div className="min-w-0 flex-1">
                  <p className="flex min-w-0 flex-wrap items-center gap-x-2">
                    <PageLink
                      href={`/sources/${encodeURIComponent(run.source)}?tab=history`}
                      className="row-link font-medium"
                    >
                      {run.source}
                    </PageLink>
                    <CommitLine commit={run.commit} className="max-w-full" />
                  </p>
                  <p className="flex flex-wrap items-center gap-x-2 text-xs text-ink-2">
                    <span className="sr-only">{word}.</span>
                    {run.clusters.map((cluster) => (
                      <span key={cluster.environment} className="inline-flex items-center gap-1">
                        <Glyph tone={clusterPhaseView(cluster.phase).tone} className="size-3" />
                        {cluster.environment}
                      </span>
                    ))}
                    <span>{run.clusters.length === 0 ? word : summaryText(run.summary)}</span>
                  </p>
                </div>
                <div className="shrink-0 text-right text-xs text-ink-3">
                  <Ago at={run.started_at} className="text-ink-2" />
                  <p>
                    {triggerWords[run.trigger]}
                    {run.duration_ms === null ? null : `, ${formatMs(run.duration_ms)}`}
                  </p>
                </div>
              </li>
            );
          })}
        </ol>
      )}
    </Panel>
  );
}

function CommitToApplied({
  figures,
  runs,
}: {
  readonly figures: Overview['commit_to_applied_ms'];
  readonly runs: readonly SyncRun[];
}) {
  const timed = runs.filter((run) => run.phase === 'Succeeded' && run.duration_ms !== null).toReversed();
  const longest = Math.max(1, ...timed.map((run) => run.duration_ms ?? 0));
  return (
    <Panel title="Commit to applied">
      <div className="flex flex-wrap items-end gap-x-6 gap-y-3">
        {(
          [
            ['last', figures.last],
            ['median', figures.p50],
            ['95th percentile', figures.p95],
          ] as const
        ).map(([name, value], index) => (
          <div key={name}>
            <p className={cn('font-semibold tracking-tight', index === 0 ? 'text-2xl' : 'text-lg')}>
              {value === null ? '—' : formatMs(value)}
            </p>
            <p className="text-xs text-ink-3">{name}</p>
          </div>
        ))}
        {timed.length < 2 ? null : (
          <div
            role="img"
            aria-label={`Duration of the last ${timed.length} runs: ${timed.map((run) => formatMs(run.duration_ms ?? 0)).join(', ')}`}
            className="ml-auto flex h-11 items-end gap-1"
          >
            {timed.map((run) => (
              <span
                key={run.id}
                title={`${formatMs(run.duration_ms ?? 0)}, ${run.commit.message.split('\n')[0] ?? ''}`}
                className="w-2 rounded-t-[2px] bg-accent/70"
                style={{ height: `${Math.max(8, ((run.duration_ms ?? 0) / longest) * 100)}%` }}
              />
            ))}
          </div>
        )}
      </div>
    </Panel>
  );
}

function Clusters() {
  const pm = usePm();
  const query = { limit: 20, sort: 'name' };
  const clusters = useQuery({
    queryKey: keys.clusterList(query),
    queryFn: ({ signal }) => pm.listClusters(query, signal),
  });
  return (
    <Panel title="Clusters" flush>
      <Loaded query={clusters} skeleton={<SkeletonLines lines={2} className="p-4" />}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No cluster is configured" />
          ) : (
            <ul>
              {items.map((cluster) => (
                <ClusterRow key={cluster.name} cluster={cluster} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Panel>
  );
}

function ClusterRow({ cluster }: { readonly cluster: ClusterView }) {
  const connection = connectionView(cluster.connection);
  return (
    <li className="relative flex flex-wrap items-center gap-x-3 gap-y-0.5 border-b px-4 py-2.5 last:border-b-0 hover:bg-hover">
      <Glyph tone={connection.tone} />
      <PageLink href={`/clusters?cluster=${encodeURIComponent(cluster.name)}`} className="row-link font-medium">
        {cluster.name}
      </PageLink>
      <span className="text-xs text-ink-2">{connection.word}</span>
      <span className="ml-auto text-xs text-ink-2">
        {cluster.records_ready}/{cluster.records} records ready
      </span>
      {cluster.queue_depth > 0 ? <Tag tone="busy">{plural(cluster.queue_depth, 'unit')} queued</Tag> : null}
    </li>
  );
}

function OverviewSkeleton() {
  return (
    <div className="flex flex-col gap-5" role="status" aria-label="Loading">
      <Skeleton className="h-36 rounded-lg" />
      <div className="grid grid-cols-[3fr_2fr] gap-5 max-lg:grid-cols-1">
        <Skeleton className="h-72 rounded-lg" />
        <Skeleton className="h-72 rounded-lg" />
      </div>
    </div>
  );
}
