'use client';

import type { DeploymentRecordDetail } from '@oaas/commons/client/pm';
import { useQuery } from '@tanstack/react-query';
import { Grid3x3 } from 'lucide-react';
import { buttonStyle } from '../../ui/button-style.ts';
import { CommandLine, CopyButton } from '../../ui/copy.tsx';
import { formatBytes, formatCompact, formatCount } from '../../ui/format.ts';
import { Meter } from '../../ui/meter.tsx';
import { PageLink } from '../../ui/page-link.tsx';
import { Facts, PageHeader, Panel } from '../../ui/panel.tsx';
import { ScrollX } from '../../ui/scroll.tsx';
import { Skeleton } from '../../ui/states.tsx';
import { Glyph, Status, Tag } from '../../ui/status.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { Ago } from '../../ui/time.tsx';
import { useSearchValue } from '../../ui/use-search.ts';
import { keys } from '../data/keys.ts';
import { Loaded } from '../data/loaded.tsx';
import { NotThere } from '../data/not-there.tsx';
import { usePm } from '../data/provider.tsx';
import { AxesStrip } from './axes.tsx';
import { ConditionList } from './conditions.tsx';
import { grpcurlLines, isGrid } from './grpcurl.ts';
import { HoldBanner } from './hold.tsx';
import { gridPath, recordTitle, shortCommit } from './record.ts';
import { Resources } from './resources.tsx';

/** Figures of the grid change without an event; they are read anew this often while the page is open. */
const refreshMs = 10_000;

export function DeploymentPage({ id }: { readonly id: string }) {
  const pm = usePm();
  const record = useQuery({
    queryKey: keys.record(id),
    queryFn: ({ signal }) => pm.getRecord(id, signal),
    refetchInterval: refreshMs,
  });
  return (
    <Loaded
      query={record}
      skeleton={<DetailSkeleton />}
      notFound={<NotThere what="deployment" name={id} back="/deployments" />}
    >
      {(data) => <DeploymentDetail record={data} />}
    </Loaded>
  );
}

function DeploymentDetail({ record }: { readonly record: DeploymentRecordDetail }) {
  const [tab, setTab] = useSearchValue('tab', 'resources');
  return (
    <>
      <PageHeader
        title={recordTitle(record)}
        status={<Tag className="text-xs">{record.target_environment}</Tag>}
        subtitle={<Origin record={record} />}
        actions={
          <PageLink href={gridPath(record)} className={buttonStyle({})}>
            <Grid3x3 aria-hidden="true" /> Open its grid
          </PageLink>
        }
      />
      <HoldBanner record={record} />
      <AxesStrip axes={record.axes} />
      <Tabs
        label="Parts of the deployment"
        value={tab}
        onChange={setTab}
        tabs={[
          {
            id: 'resources',
            label: 'Resources',
            count: record.resources.length,
            content: <Resources record={record} />,
          },
          {
            id: 'conditions',
            label: 'Conditions and events',
            content: (
              <div className="grid grid-cols-2 items-start gap-5 max-lg:grid-cols-1">
                <Panel title="Conditions" flush>
                  <ConditionList conditions={record.conditions} />
                </Panel>
                <Panel title="Events" flush>
                  <Events events={record.events} />
                </Panel>
              </div>
            ),
          },
          { id: 'access', label: 'Endpoints and functions', content: <Access record={record} /> },
          {
            id: 'collections',
            label: 'Collections',
            count: record.collections.length,
            content: <Collections record={record} />,
          },
          { id: 'desired', label: 'Desired', content: <Desired record={record} /> },
        ]}
      />
    </>
  );
}

function Origin({ record }: { readonly record: DeploymentRecordDetail }) {
  return (
    <>
      <span>
        package{' '}
        <PageLink
          href={`/packages/${encodeURIComponent(record.package_name)}`}
          className="font-medium text-accent hover:underline"
        >
          {record.package_name}
        </PageLink>
      </span>
      {record.source === null ? null : (
        <span>
          from{' '}
          <PageLink
            href={`/sources/${encodeURIComponent(record.source)}`}
            className="font-medium text-accent hover:underline"
          >
            {record.source}
          </PageLink>
          {record.commit === null ? null : (
            <>
              {' '}
              at <code className="text-xs text-ink">{shortCommit(record.commit)}</code>
            </>
          )}
          {record.path === null ? null : <span className="text-ink-3"> {record.path}</span>}
        </span>
      )}
      <span>
        template <span className="font-medium text-ink">{record.template}</span>
      </span>
      <span>
        generation <span className="font-medium text-ink">{record.generation}</span>
      </span>
      <span className="text-ink-3">
        updated <Ago at={record.updated_at} />
      </span>
    </>
  );
}

function Events({ events }: { readonly events: DeploymentRecordDetail['events'] }) {
  if (events.length === 0) return <p className="p-4 text-ink-2">The cluster has reported no event.</p>;
  const newest = events.toSorted((a, b) => b.last_seen.localeCompare(a.last_seen));
  return (
    <ul aria-label="Events">
      {newest.map((event) => (
        <li
          key={`${event.reason} ${event.regarding} ${event.first_seen}`}
          className="flex items-start gap-3 border-b px-4 py-2.5 last:border-b-0"
        >
          <Glyph tone={event.type === 'Warning' ? 'warn' : 'idle'} className="mt-[3px]" />
          <div className="min-w-0 flex-1">
            <p className="flex flex-wrap items-baseline gap-x-2">
              <span className="font-medium">{event.reason}</span>
              {event.count > 1 ? <span className="text-xs text-ink-3">×{formatCount(event.count)}</span> : null}
              <span className="text-xs break-all text-ink-3">{event.regarding}</span>
              <Ago at={event.last_seen} className="ml-auto text-xs text-ink-3" />
            </p>
            <p className="break-words text-ink-2">{event.message}</p>
          </div>
        </li>
      ))}
    </ul>
  );
}

function Access({ record }: { readonly record: DeploymentRecordDetail }) {
  return (
    <div className="grid grid-cols-2 items-start gap-5 max-lg:grid-cols-1">
      <Panel title="Endpoints">
        {record.endpoints.length === 0 ? (
          <p className="text-ink-2">None is reachable yet.</p>
        ) : (
          <ul className="flex flex-col gap-5">
            {record.endpoints.map((endpoint) => (
              <li key={`${endpoint.name} ${endpoint.address}`} className="flex flex-col gap-2">
                <p className="flex flex-wrap items-center gap-x-2">
                  <span className="font-medium">{endpoint.name}</span>
                  <Tag>{endpoint.protocol}</Tag>
                  <code className="text-xs break-all">{endpoint.address}</code>
                  <CopyButton text={endpoint.address} label="Copy the address" />
                </p>
                {isGrid(endpoint) ? (
                  <>
                    <p className="text-xs text-ink-2">
                      Run these in a checkout of the platform, where the contracts are.
                    </p>
                    {grpcurlLines(record, endpoint).map(({ what, line }) => (
                      <div key={what}>
                        <p className="eyebrow mb-1">{what}</p>
                        <CommandLine text={line} label={`Copy the command: ${what}`} />
                      </div>
                    ))}
                  </>
                ) : null}
              </li>
            ))}
          </ul>
        )}
      </Panel>
      <Panel title="Functions" flush>
        {record.functions.length === 0 ? (
          <p className="p-4 text-ink-2">The class has no function of its own.</p>
        ) : (
          <ul>
            {record.functions.map((fn) => (
              <li
                key={fn.function_key}
                className="flex flex-wrap items-center gap-x-3 border-b px-4 py-2.5 last:border-b-0"
              >
                <Status tone={fn.ready === null ? 'idle' : fn.ready ? 'ok' : 'bad'} className="w-24">
                  {fn.ready === null ? 'Unknown' : fn.ready ? 'Ready' : 'Not ready'}
                </Status>
                <span className="font-medium">{fn.function_key}</span>
                <code className="text-xs break-all text-ink-3">{fn.service}</code>
                {fn.reason === null && fn.message === null ? null : (
                  <p className="basis-full break-words text-ink-2">
                    {fn.reason === null ? null : <span className="font-medium">{fn.reason}: </span>}
                    {fn.message}
                  </p>
                )}
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </div>
  );
}

function Collections({ record }: { readonly record: DeploymentRecordDetail }) {
  if (record.collections.length === 0)
    return <p className="rounded-lg border bg-surface p-4 text-ink-2">The class keeps no objects.</p>;
  return (
    <ScrollX label="Collections, scrollable" className="rounded-lg border bg-surface shadow-card">
      <table className="w-full text-left" aria-label="Collections">
        <thead>
          <tr className="border-b bg-sunken text-xs text-ink-3 [&_th]:h-9 [&_th]:px-3 [&_th]:font-medium [&_th]:whitespace-nowrap">
            <th scope="col">Collection</th>
            <th scope="col">Shard type</th>
            <th scope="col" className="text-right">
              Partitions
            </th>
            <th scope="col" className="text-right">
              Replicas
            </th>
            <th scope="col">Shards ready</th>
            <th scope="col" className="text-right">
              Objects
            </th>
            <th scope="col" className="text-right">
              Size
            </th>
          </tr>
        </thead>
        <tbody>
          {record.collections.map((collection) => (
            <tr key={collection.name} className="border-b last:border-b-0 [&_td]:h-11 [&_td]:px-3">
              <td className="font-medium">{collection.name}</td>
              <td>{collection.shard_type}</td>
              <td className="text-right">{collection.partition_count}</td>
              <td className="text-right">{collection.replica_count}</td>
              <td>
                <span className="flex items-center gap-2">
                  <Meter
                    label="Shards ready"
                    className="w-20"
                    total={collection.partition_count}
                    parts={[
                      { tone: 'ok', value: collection.shards_ready, word: 'ready' },
                      { tone: 'warn', value: collection.partition_count - collection.shards_ready, word: 'not ready' },
                    ]}
                  />
                  {collection.shards_ready}/{collection.partition_count}
                </span>
              </td>
              <td className="text-right">{formatCompact(collection.objects)}</td>
              <td className="text-right whitespace-nowrap">{formatBytes(collection.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollX>
  );
}

function Desired({ record }: { readonly record: DeploymentRecordDetail }) {
  const same = record.desired_digest !== null && record.desired_digest === record.observed_digest;
  return (
    <div className="flex flex-col gap-4">
      <Panel title="Digests">
        <Facts
          facts={[
            {
              name: 'Wanted',
              value:
                record.desired_digest === null ? (
                  'nothing: it is no longer in Git'
                ) : (
                  <code className="text-xs break-all">{record.desired_digest}</code>
                ),
            },
            {
              name: 'In the cluster',
              value:
                record.observed_digest === null ? (
                  'no record yet'
                ) : (
                  <code className="text-xs break-all">{record.observed_digest}</code>
                ),
            },
            {
              name: 'Compared',
              value: same ? <Status tone="ok">Equal</Status> : <Status tone="warn">Different</Status>,
            },
          ]}
        />
      </Panel>
      {record.desired === null || record.desired === undefined ? null : (
        <Panel
          title="Deployment unit"
          flush
          actions={<CopyButton text={JSON.stringify(record.desired, null, 2)} label="Copy as JSON" />}
        >
          <pre className="max-h-[36rem] overflow-auto p-4 text-xs leading-relaxed" tabIndex={0}>
            {JSON.stringify(record.desired, null, 2)}
          </pre>
        </Panel>
      )}
    </div>
  );
}

function DetailSkeleton() {
  return (
    <div className="flex flex-col gap-5" role="status" aria-label="Loading">
      <Skeleton className="h-8 w-64" />
      <Skeleton className="h-40 rounded-lg" />
      <Skeleton className="h-80 rounded-lg" />
    </div>
  );
}
