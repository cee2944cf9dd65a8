'use client';

import type { ClusterView } from '@oaas/commons/client/pm';
import { Boxes } from 'lucide-react';
import { columnsOf } from '../../ui/data-table.tsx';
import { Drawer } from '../../ui/dialog.tsx';
import { formatPercent, plural } from '../../ui/format.ts';
import { Meter } from '../../ui/meter.tsx';
import { PageLink } from '../../ui/page-link.tsx';
import { Facts } from '../../ui/panel.tsx';
import { Banner, Empty } from '../../ui/states.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { useSearchValue } from '../../ui/use-search.ts';
import { keys } from '../data/keys.ts';
import { ListPage } from '../data/list-page.tsx';
import { clusterHealthView, connectionView, inSyncView } from './cluster.ts';

const spec = { filters: [], sort: 'name' };

export function ClustersPage() {
  const [open, setOpen] = useSearchValue('cluster', '');
  return (
    <ListPage
      title="Clusters"
      subtitle="Where deployments run. Each has a Class Runtime Manager that this platform talks to."
      noun="clusters"
      spec={spec}
      queryKey={keys.clusterList}
      read={(pm, query, signal) => pm.listClusters(query, signal)}
      columns={columns}
      rowId={(cluster) => cluster.name}
      empty={
        <Empty icon={<Boxes aria-hidden="true" />} title="No cluster is configured">
          Clusters are part of the Package Manager's configuration.
        </Empty>
      }
    >
      {(rows) =>
        rows
          .filter((cluster) => cluster.name === open)
          .map((cluster) => (
            <Drawer
              key={cluster.name}
              open
              onOpenChange={() => setOpen('')}
              title={cluster.name}
              description={cluster.url}
            >
              <ClusterDetail cluster={cluster} />
            </Drawer>
          ))
      }
    </ListPage>
  );
}

function RecordsReady({ cluster }: { readonly cluster: ClusterView }) {
  return (
    <span className="flex items-center gap-2">
      <Meter
        label="Records ready"
        className="w-24 max-xl:hidden"
        total={cluster.records}
        parts={[
          { tone: 'ok', value: cluster.records_ready, word: 'ready' },
          { tone: 'idle', value: cluster.records - cluster.records_ready, word: 'not ready' },
        ]}
      />
      {cluster.records_ready}/{cluster.records}
    </span>
  );
}

const helper = columnsOf<ClusterView>();
const columns = helper.columns([
  helper.accessor('name', {
    header: 'Cluster',
    meta: { sort: 'name' },
    cell: ({ row: { original: cluster } }) => (
      <div>
        <PageLink href={`/clusters?cluster=${encodeURIComponent(cluster.name)}`} className="row-link font-medium">
          {cluster.name}
        </PageLink>
        <p className="text-xs text-ink-3">{cluster.url}</p>
      </div>
    ),
  }),
  helper.accessor('connection', {
    header: 'Connection',
    cell: ({ row: { original: cluster } }) => {
      const { tone, word } = connectionView(cluster.connection);
      return (
        <Status tone={tone} title={cluster.message}>
          {word}
        </Status>
      );
    },
  }),
  helper.accessor('health.status', {
    header: 'Health',
    meta: { from: 'sm' },
    cell: ({ getValue }) => {
      const { tone, word } = clusterHealthView(getValue());
      return <Status tone={tone}>{word}</Status>;
    },
  }),
  helper.accessor('in_sync', {
    header: 'Sync',
    cell: ({ row: { original: cluster } }) => {
      const { tone, word } = inSyncView(cluster);
      return <Status tone={tone}>{word}</Status>;
    },
  }),
  helper.accessor('records', {
    header: 'Records ready',
    meta: { from: 'sm' },
    cell: ({ row }) => <RecordsReady cluster={row.original} />,
  }),
  helper.accessor('queue_depth', { header: 'Queue', meta: { align: 'end', from: 'md', sort: 'queue_depth' } }),
  helper.accessor('health.ready_nodes', {
    header: 'Nodes',
    meta: { align: 'end', from: 'md' },
    cell: ({ row: { original: cluster } }) => nodes(cluster),
  }),
  helper.accessor('kubernetes_version', {
    header: 'Kubernetes',
    meta: { from: 'lg' },
    cell: ({ getValue }) => getValue() ?? '—',
  }),
  helper.accessor('health.crm_version', {
    header: 'CRM',
    meta: { from: 'lg' },
    cell: ({ getValue }) => getValue() ?? '—',
  }),
]);

function nodes({ health }: ClusterView): string {
  return health.node_count === null ? '—' : `${health.ready_nodes ?? 0}/${health.node_count}`;
}

function ClusterDetail({ cluster }: { readonly cluster: ClusterView }) {
  const connection = connectionView(cluster.connection);
  const health = clusterHealthView(cluster.health.status);
  const sync = inSyncView(cluster);
  return (
    <div className="flex flex-col gap-5">
      {cluster.message === '' ? null : (
        <Banner tone={connection.tone === 'ok' ? 'warn' : 'bad'} title={connection.word}>
          {cluster.message}
        </Banner>
      )}
      <Facts
        facts={[
          { name: 'Connection', value: <Status tone={connection.tone}>{connection.word}</Status> },
          { name: 'Health', value: <Status tone={health.tone}>{health.word}</Status> },
          { name: 'Sync', value: <Status tone={sync.tone}>{sync.word}</Status> },
          { name: 'Records ready', value: `${cluster.records_ready} of ${cluster.records}` },
          { name: 'Queue', value: cluster.queue_depth === 0 ? 'empty' : `${plural(cluster.queue_depth, 'unit')} wait` },
          { name: 'Nodes ready', value: nodes(cluster) },
          {
            name: 'Availability',
            value: cluster.health.availability === null ? '—' : formatPercent(cluster.health.availability),
          },
          { name: 'Kubernetes', value: cluster.kubernetes_version ?? '—' },
          { name: 'CRM', value: cluster.health.crm_version ?? '—' },
          { name: 'Profile', value: cluster.profile ?? '—' },
          { name: 'Last seen', value: <Ago at={cluster.health.last_seen} /> },
        ]}
      />
      <p>
        <PageLink
          href={`/deployments?environment=${encodeURIComponent(cluster.name)}`}
          className="font-medium text-accent hover:underline"
        >
          Show its {plural(cluster.records, 'deployment')}
        </PageLink>
      </p>
    </div>
  );
}
