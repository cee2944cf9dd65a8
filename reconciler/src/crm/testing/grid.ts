import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A grid's admin API with numbers set by hand. For tests. */
export interface HandGrid {
  readonly url: string;
  readonly state: {
    nodes: number;
    activeNodes: number;
    collection: string;
    partitions: number;
    ready: number;
    objects: number;
  };
  stop(): Promise<void>;
}

export async function startHandGrid(): Promise<HandGrid> {
  const state = { nodes: 1, activeNodes: 1, collection: 'counter_data', partitions: 4, ready: 4, objects: 0 };
  const pages: Readonly<Record<string, () => unknown>> = {
    '/admin/cluster/status': () => ({
      cluster_id: 'hand',
      leader_node: null,
      total_nodes: state.nodes,
      active_nodes: state.activeNodes,
      current_term: 0,
    }),
    '/admin/collections': () => ({
      collections: [
        {
          name: state.collection,
          partition_count: state.partitions,
          replica_count: 1,
          shard_type: 'basic',
          total_objects: state.objects,
          size_bytes: state.objects * 10,
          shards_ready: state.ready,
          state: 'ready',
          reason: '',
          class_ids: ['counter.Counter'],
          shard_distribution: [
            {
              collection: state.collection,
              partition: 0,
              shard_id: 7,
              leader: 'n0',
              replicas: [{ node: 'n0', role: 'primary' }],
            },
          ],
        },
      ],
    }),
    '/admin/diagnostics': () => ({
      cluster: { consensus_health: [{ severity: 'info', code: 'consensus.ok', message: 'well' }], member_health: [] },
      shards: { consistency_issues: [{ severity: 'error', code: 'consistency.frozen', message: 'frozen' }] },
      events: [{ severity: 'info', code: 'events.off', message: 'off' }],
      taken_at: '2026-01-01T00:00:00Z',
    }),
  };
  const server = createServer((request, response) => {
    const page = pages[request.url ?? ''];
    response.writeHead(page === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(page?.() ?? { detail: `there is no GET ${request.url ?? ''}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    state,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}
