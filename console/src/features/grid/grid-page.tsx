'use client';

import type { GridMember, GridView } from '@oaas/commons/client/pm';
import { useQuery } from '@tanstack/react-query';
import { Layers } from 'lucide-react';
import { buttonStyle } from '../../ui/button-style.ts';
import { cn } from '../../ui/cn.ts';
import { formatBytes, formatCompact, formatMs, formatPercent, plural } from '../../ui/format.ts';
import { PageLink } from '../../ui/page-link.tsx';
import { PageHeader, Panel } from '../../ui/panel.tsx';
import { ScrollX } from '../../ui/scroll.tsx';
import { Empty, Skeleton } from '../../ui/states.tsx';
import { Status, Tag } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { keys } from '../data/keys.ts';
import { Loaded } from '../data/loaded.tsx';
import { NotThere } from '../data/not-there.tsx';
import { usePm } from '../data/provider.tsx';
import { recordPath, recordTitle } from '../deployments/record.ts';
import { memberView, shardMaps } from './grid.ts';
import { ShardMap } from './shard-map.tsx';

/** A grid sends no events of its own: it is asked this often while somebody looks. */
const refreshMs = 5_000;

export function GridPage({ environment, deployment }: { readonly environment: string; readonly deployment: string }) {
  const pm = usePm();
  const grid = useQuery({
    queryKey: keys.grid(environment, deployment),
    queryFn: ({ signal }) => pm.getGrid(environment, deployment, signal),
    refetchInterval: refreshMs,
  });
  const record = useQuery({
    queryKey: keys.record(deployment),
    queryFn: ({ signal }) => pm.getRecord(deployment, signal),
    retry: false,
  });
  return (
    <>
      <PageHeader
        title={record.data === undefined ? deployment : recordTitle(record.data)}
        status={<Tag className="text-xs">{environment}</Tag>}
        subtitle={
          grid.data === undefined ? null : (
            <>
              <span>{plural(grid.data.collections.length, 'collection')}</span>
              <span>
                {grid.data.active_nodes} of {plural(grid.data.total_nodes, 'member')} up
              </span>
              <span className="text-ink-3">
                seen <Ago at={grid.data.observed_at} />
              </span>
            </>
          )
        }
        actions={
          <PageLink href={recordPath({ id: deployment })} className={buttonStyle({})}>
            <Layers aria-hidden="true" /> Open the deployment
          </PageLink>
        }
      />
      <Loaded
        query={grid}
        skeleton={<GridSkeleton />}
        notFound={<NotThere what="grid" name={deployment} back="/grid" />}
      >
        {(data) => <GridDetail grid={data} />}
      </Loaded>
    </>
  );
}

function GridDetail({ grid }: { readonly grid: GridView }) {
  const objects = grid.collections.reduce((sum, each) => sum + each.total_objects, 0);
  const bytes = grid.collections.reduce((sum, each) => sum + each.size_bytes, 0);
  const ready = grid.collections.reduce((sum, each) => sum + each.shards_ready, 0);
  const partitions = grid.collections.reduce((sum, each) => sum + each.partition_count, 0);
  return (
    <>
      <dl className="grid grid-cols-5 gap-px overflow-hidden rounded-lg border bg-line shadow-card max-lg:grid-cols-3 max-sm:grid-cols-2">
        <Figure
          name="Members up"
          value={`${grid.active_nodes}/${grid.total_nodes}`}
          bad={grid.active_nodes < grid.total_nodes}
        />
        <Figure name="Shards ready" value={`${ready}/${partitions}`} bad={ready < partitions} />
        <Figure name="Objects" value={formatCompact(objects)} />
        <Figure name="Size" value={formatBytes(bytes)} />
        <Figure name="Balance" value={formatPercent(grid.balance_score)} note="100 % is perfectly even" />
      </dl>
      {shardMaps(grid).map((map) => {
        const collection = grid.collections.find((each) => each.name === map.collection);
        return (
          <Panel
            key={map.collection}
            flush
            title={map.collection}
            actions={
              collection === undefined ? null : (
                <span className="flex flex-wrap items-center gap-1.5">
                  <Tag>{plural(collection.partition_count, 'partition')}</Tag>
                  <Tag>{plural(collection.replica_count, 'replica')}</Tag>
                  <Tag>{collection.shard_type}</Tag>
                  <Tag>{collection.durability}</Tag>
                  <span className="ml-2 text-xs text-ink-2">
                    {formatCompact(collection.total_objects)} objects, {formatBytes(collection.size_bytes)}
                  </span>
                </span>
              )
            }
          >
            <ShardMap map={map} members={grid.members} />
          </Panel>
        );
      })}
      {grid.collections.length === 0 ? (
        <Panel>
          <Empty title="The grid has no collection yet" />
        </Panel>
      ) : null}
      <Members grid={grid} />
    </>
  );
}

function Figure({
  name,
  value,
  note,
  bad,
}: {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
  readonly bad?: boolean;
}) {
  return (
    <div className="flex flex-col-reverse justify-end bg-surface px-4 py-3 last:max-lg:col-span-2" title={note}>
      <dt className="text-xs text-ink-3">{name}</dt>
      <dd className={cn('text-2xl font-semibold tracking-tight', bad === true && 'text-warn')}>{value}</dd>
    </div>
  );
}

function Members({ grid }: { readonly grid: GridView }) {
  const most = Math.max(1, ...grid.members.map((member) => member.bytes));
  return (
    <Panel title="Members" flush>
      <ScrollX label="Members, scrollable">
        <table className="w-full text-left" aria-label="Members">
          <thead>
            <tr className="border-b bg-sunken text-xs text-ink-3 [&_th]:h-9 [&_th]:px-3 [&_th]:font-medium [&_th]:whitespace-nowrap [&_th:first-child]:pl-4">
              <th scope="col">Member</th>
              <th scope="col">State</th>
              <th scope="col">Zone</th>
              <th scope="col" className="text-right">
                Shards
              </th>
              <th scope="col" className="text-right">
                Leads
              </th>
              <th scope="col" className="text-right">
                Objects
              </th>
              <th scope="col">Size</th>
              <th scope="col" className="text-right">
                Memory
              </th>
              <th scope="col" className="text-right">
                Up for
              </th>
              <th scope="col" className="text-right">
                Last seen
              </th>
              <th scope="col">Version</th>
            </tr>
          </thead>
          <tbody>
            {grid.members.map((member) => (
              <MemberRow key={member.id} member={member} most={most} coordinates={member.id === grid.leader_node} />
            ))}
          </tbody>
        </table>
      </ScrollX>
    </Panel>
  );
}

function MemberRow({
  member,
  most,
  coordinates,
}: {
  readonly member: GridMember;
  readonly most: number;
  readonly coordinates: boolean;
}) {
  const { tone, word } = memberView(member.state);
  const gone = member.state === 'down' || member.state === 'drained';
  return (
    <tr
      className="border-b last:border-b-0 hover:bg-hover [&_td]:h-11 [&_td]:px-3 [&_td]:whitespace-nowrap [&_td:first-child]:pl-4"
      data-testid="member"
      data-state={member.state}
    >
      <td>
        <span className="flex items-center gap-2 font-medium">
          {member.id}
          {coordinates ? <Tag title="Leads the grid's meta group">coordinates</Tag> : null}
        </span>
        <code className="text-xs text-ink-3">{member.address}</code>
      </td>
      <td>
        <Status tone={tone}>{word}</Status>
      </td>
      <td>{member.zone === '' ? '—' : member.zone}</td>
      <td className="text-right">{member.shards}</td>
      <td className="text-right">{member.leaders}</td>
      <td className="text-right">{formatCompact(member.objects)}</td>
      <td>
        <span className="flex items-center gap-2">
          <span aria-hidden="true" className="h-1.5 w-16 overflow-hidden rounded-full bg-idle-soft">
            <span
              className="block h-full rounded-full bg-accent/70"
              style={{ width: `${(member.bytes / most) * 100}%` }}
            />
          </span>
          {formatBytes(member.bytes)}
        </span>
      </td>
      <td className="text-right">{gone ? '—' : formatBytes(member.memory_bytes)}</td>
      <td className="text-right">{gone ? '—' : formatMs(member.uptime_seconds * 1000)}</td>
      <td className="text-right text-ink-2">
        <Ago at={member.last_seen} />
      </td>
      <td className="text-ink-2">{member.version}</td>
    </tr>
  );
}

function GridSkeleton() {
  return (
    <div className="flex flex-col gap-5" role="status" aria-label="Loading">
      <Skeleton className="h-20 rounded-lg" />
      <Skeleton className="h-72 rounded-lg" />
      <Skeleton className="h-48 rounded-lg" />
    </div>
  );
}
