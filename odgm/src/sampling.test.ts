import { createFunctionProgram, loadFunctionConfig } from '@oaas/commons/function';
import { createLogger } from '@oaas/commons/telemetry';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type RunningNode, startNode } from '../testkit/index.ts';

/** Each metric of a node, on real nodes, before and after what it counts. */
let directory: TempDir;
const running: { stop(): Promise<void> }[] = [];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await Promise.allSettled(running.splice(0).map((one) => one.stop()));
  await directory.remove();
});

/** All series, without the label that every one of them has. */
async function scrape({ admin }: RunningNode): Promise<ReadonlyMap<string, number>> {
  const { metrics } = (await (await fetch(`${admin}/admin/metrics`)).json()) as { metrics: Record<string, number> };
  const names = Object.entries(metrics).map(([name, value]): [string, number] => [
    name.replace('{service="odgm"}', '').replace(',service="odgm"', ''),
    value,
  ]);
  return new Map(names);
}

async function value(node: RunningNode, name: string): Promise<number> {
  const found = (await scrape(node)).get(name);
  if (found === undefined) throw new Error(`there is no series ${name}`);
  return found;
}

async function startMembers(ids: readonly string[], collections: readonly object[]): Promise<RunningNode[]> {
  const ports = await freePorts(ids.length);
  const members = ids.map((id, i) => `${id}=127.0.0.1:${String(ports[i])}`);
  const nodes = await Promise.all(
    ids.map((id, i) =>
      startNode({ id, members, collections, dataDir: `${directory.path}/${id}`, grpcPort: ports[i] ?? 0 }),
    ),
  );
  running.push(...nodes);
  return nodes;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const written = (text: string) => ({ entries: { k: { data: Buffer.from(text) } } });

it('calls of functions are counted, timed and told apart by how they ended, and those in flight are seen', async () => {
  const [port = 0] = await freePorts(1);
  const route = { url: `http://127.0.0.1:${String(port)}`, stateless: true };
  const collections = [{ name: 'c', invocations: { fnRoutes: { wait: route, gone: route } } }];
  const [node] = await startMembers(['n1'], collections);
  if (node === undefined) throw new Error('no node');
  let release: (() => void) | undefined;
  const wait = () => new Promise<void>((resolve) => (release = resolve));
  const env = { FUNCTION_PORT: String(port), FUNCTION_BIND_HOST: '127.0.0.1', ODGM_ENDPOINT: `http://${node.grpc}` };
  const program = createFunctionProgram({ wait }, loadFunctionConfig(env, []), {
    ...{ clock: systemClock, timers: systemTimers, random: systemRandom },
    logger: createLogger({ service: 'function', level: 'silent' }),
  });
  await program.group.start();
  running.push(program.group);
  const calls = 'odgm_function_calls_total{collection="c",function="wait"}';
  expect(await value(node, calls)).toBe(0);
  expect(await value(node, 'odgm_concurrent_functions')).toBe(0);
  const call = node.functions.invokeFn({ clsId: 'c', fnId: 'wait' });
  await eventually(async () => (await value(node, 'odgm_concurrent_functions')) === 1);
  await eventually(() => release !== undefined);
  release?.();
  await call;
  expect(await value(node, 'odgm_concurrent_functions')).toBe(0);
  expect(await value(node, calls)).toBe(1);
  expect(await value(node, 'odgm_function_call_duration_seconds_count{collection="c",function="wait"}')).toBe(1);
  const failed = 'odgm_function_errors_total{collection="c",function="gone",status="INVALID_REQUEST"}';
  expect(await value(node, failed)).toBe(0);
  await node.functions.invokeFn({ clsId: 'c', fnId: 'gone' });
  expect(await value(node, failed)).toBe(1);
});

it('operations move counts, durations, objects, bytes, the committed index, and what the machine does for them', async () => {
  const collections = [{ name: 'c', shardType: 'raft' }];
  const [node] = await startMembers(['n1'], collections);
  if (node === undefined) throw new Error('no node');
  const before = await scrape(node);
  for (let i = 0; i < 20; i++) {
    await node.data.set({ clsId: 'c', objectId: `o${String(i)}`, object: written('v'.repeat(50_000)) });
  }
  await node.data.get({ clsId: 'c', objectId: 'o0' });
  await expect(node.data.get({ clsId: 'c', objectId: 'none' })).rejects.toMatchObject({ code: 'NotFound' });
  const unknown = Buffer.from('x');
  await collect(node.data.listObjects({ clsId: 'c', limit: 3 }));
  await collect(node.data.listValues({ clsId: 'c', objectId: 'o0' }));
  for (let i = 0; i < 2; i++) {
    const objects = node.data.listObjects({ clsId: 'c', cursor: unknown });
    await expect(collect(objects)).rejects.toMatchObject({ code: 'InvalidArgument' });
  }
  const values = node.data.listValues({ clsId: 'c', objectId: 'o0', cursor: unknown });
  await expect(collect(values)).rejects.toMatchObject({ code: 'InvalidArgument' });
  await fetch(`${node.admin}/admin/collections/c/consistency-check`, { method: 'POST' });
  const growth = async (name: string): Promise<number> => (await value(node, name)) - (before.get(name) ?? 0);
  expect(await growth('odgm_collection_operations_total{collection="c",operation="set",result="ok"}')).toBe(20);
  expect(await growth('odgm_collection_operations_total{collection="c",operation="get",result="ok"}')).toBe(1);
  expect(await growth('odgm_collection_operations_total{collection="c",operation="get",result="error"}')).toBe(1);
  for (const [operation, result, count] of [
    ['list_objects', 'ok', 1],
    ['list_objects', 'error', 2],
    ['list_values', 'ok', 1],
    ['list_values', 'error', 1],
  ] as const) {
    const name = `odgm_collection_operations_total{collection="c",operation="${operation}",result="${result}"}`;
    expect([name, await growth(name)]).toEqual([name, count]);
  }
  expect(await growth('odgm_collection_operation_duration_seconds_count{collection="c",operation="set"}')).toBe(20);
  expect(
    await growth('odgm_collection_operation_duration_seconds_sum{collection="c",operation="set"}'),
  ).toBeGreaterThan(0);
  expect(await growth('odgm_collection_objects_total{collection="c"}')).toBe(20);
  expect(await growth('odgm_collection_size_bytes{collection="c"}')).toBeGreaterThan(1_000_000);
  await eventually(async () => (await growth('odgm_raft_committed_index')) > 0);
  expect(await growth('odgm_network_io_bytes_total{direction="received"}')).toBeGreaterThan(1_000_000);
  expect(await growth('odgm_network_io_bytes_total{direction="sent"}')).toBeGreaterThan(50_000);
  // The operating system of Linux counts them for a process.
  if (process.platform === 'linux') {
    expect(await growth('odgm_disk_io_bytes_total{operation="write"}')).toBeGreaterThan(1_000_000);
  }
  expect(await growth('odgm_memory_usage_bytes')).not.toBe(0);
  expect(await value(node, 'odgm_memory_usage_bytes')).toBeGreaterThan(10_000_000);
  // Between two scrapes that work lies between.
  await eventually(async () => {
    await node.data.set({ clsId: 'c', objectId: 'o0', object: written('w') });
    return (await value(node, 'odgm_cpu_usage_percent')) > 0;
  });
});

it('a leader that is gone moves elections, the term and the number of nodes; followers of a leader move the lag', async () => {
  const collections = [{ name: 'c', shardType: 'raft', partitionCount: 3, replicaCount: 3 }];
  const nodes = await startMembers(['n1', 'n2', 'n3'], collections);
  const leading = nodes[0]?.program.node.meta?.state.members.get(nodes[0].program.node.meta.leader)?.id;
  const leader = nodes.find(({ id }) => id === leading);
  const other = nodes.find(({ id }) => id !== leading);
  if (leader === undefined || other === undefined) throw new Error('nobody leads');
  await eventually(async () => (await value(other, 'odgm_cluster_nodes_total')) === 3);
  await eventually(() => other.program.node.meta?.group.status().confState.voters.length === 3);
  const before = await scrape(other);
  const lag = 'odgm_shard_replication_lag_count';
  // Whoever leads a shard looks at how far the others are with each scrape.
  await eventually(async () => {
    const counts = await Promise.all(nodes.map((node) => value(node, lag)));
    return counts.reduce((sum, count) => sum + count, 0) > 0;
  });
  await leader.stop();
  await eventually(async () => {
    const now = await scrape(other);
    const hasMoved = ['odgm_raft_term', 'odgm_cluster_leader_elections_total{group="meta"}'].every(
      (name) => (now.get(name) ?? 0) > (before.get(name) ?? 0),
    );
    return hasMoved && now.get('odgm_cluster_nodes_total') === 2;
  });
  // Of what is written now the one that is gone has nothing.
  for (let partitionId = 0; partitionId < 3; partitionId++) {
    await other.data.set({ clsId: 'c', partitionId, objectId: 'o', object: written('v') }, { deadlineMs: 20_000 });
  }
  const left = nodes.filter((node) => node !== leader);
  await eventually(async () => {
    const sums = await Promise.all(left.map((node) => value(node, 'odgm_shard_replication_lag_sum')));
    return sums.reduce((sum, one) => sum + one, 0) >= 3;
  });
});

describe('a member that joins', () => {
  // Of the first, one member leads; of the second, nobody does.
  it.each(['raft', 'mst'])(
    'makes the distribution of %s shards uneven, and moves that make it even are timed',
    async (shardType) => {
      const collections = [{ name: 'c', shardType, partitionCount: 4 }];
      const [first] = await startMembers(['n1'], collections);
      if (first === undefined) throw new Error('no node');
      const balance = 'odgm_shard_distribution_balance';
      const moves = 'odgm_shard_migration_duration_seconds_count';
      expect(await value(first, balance)).toBe(1);
      const second = await startNode({
        ...{ id: 'n2', dataDir: `${directory.path}/n2`, collections },
        members: [`n1=${first.grpc}`, `n2=127.0.0.1:${String((await freePorts(1))[0])}`],
      });
      running.push(second);
      await eventually(async () => (await value(first, balance)) < 1);
      expect(await value(first, moves)).toBe(0);
      await fetch(`${first.admin}/admin/rebalance`, { method: 'POST' });
      await eventually(async () => (await value(first, balance)) === 1);
      await eventually(async () => (await value(first, moves)) >= 2);
    },
  );
});

describe('replicas that merge', () => {
  it('count their comparisons, what differed and the bytes of it, and what they keep for one that is away', async () => {
    const collections = [{ name: 'm', shardType: 'mst', replicaCount: 2 }];
    const [node, other] = await startMembers(['n1', 'n2'], collections);
    if (node === undefined || other === undefined) throw new Error('no node');
    const own = { metadata: { 'x-oaas-hop': '1' } };
    const total = async (name: string): Promise<number> => {
      const values = await Promise.all([node, other].map((one) => value(one, name)));
      return values.reduce((sum, each) => sum + each, 0);
    };
    await eventually(async () => (await total('odgm_anti_entropy_rounds_total{result="equal"}')) > 0);
    await eventually(async () => (await value(node, 'odgm_replication_hints{collection="m"}')) === 0);
    const sent = await value(node, 'odgm_anti_entropy_bytes_total{direction="sent"}');
    expect(sent).toBeGreaterThan(0);
    await other.stop();
    running.splice(running.indexOf(other), 1);
    await eventually(() => node.program.node.members().some(({ state }) => state === 'suspect' || state === 'down'));
    for (let i = 0; i < 30; i++) {
      await node.data.set({ clsId: 'm', objectId: `o${String(i)}`, object: written('v') }, own);
    }
    // The object and its entry, each.
    expect(await value(node, 'odgm_replication_hints{collection="m"}')).toBe(60);
    const again = await startNode({
      ...{ id: 'n2', collections, dataDir: `${directory.path}/n2` },
      ...{ members: [`n1=${node.grpc}`, `n2=${other.grpc}`], grpcPort: Number(other.grpc.split(':')[1]) },
    });
    running.push(again);
    await eventually(async () => {
      const rounds = await Promise.all([node, again].map((one) => scrape(one)));
      const of = (name: string): number => rounds.reduce((sum, each) => sum + (each.get(name) ?? 0), 0);
      return (
        of('odgm_anti_entropy_rounds_total{result="equal"}') > 0 && of('odgm_replication_hints{collection="m"}') === 0
      );
    });
    expect(await value(node, 'odgm_anti_entropy_bytes_total{direction="sent"}')).toBeGreaterThan(sent);
    expect(await value(again, 'odgm_collection_objects_total{collection="m"}')).toBe(30);
  });
});
