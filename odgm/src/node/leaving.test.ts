import { type TempDir, eventually, tempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandVersion } from '../meta/index.ts';
import { type RunningGrid, type RunningNode, startGrid, startNode } from '../../testkit/index.ts';

let directory: TempDir;
let grid: RunningGrid;
const running: RunningNode[] = [];
const collections = [{ name: 'c', shardType: 'raft', partitionCount: 4, replicaCount: 2 }];

beforeEach(async () => {
  directory = await tempDir();
  grid = await startGrid({ dataDir: directory.path, ids: ['n1', 'n2', 'n3', 'n4'], collections });
  running.push(...grid.nodes);
});
afterEach(async () => {
  await Promise.allSettled(running.splice(0).map((one) => one.stop()));
  await directory.remove();
});

/** The node goes on under the same address, with the same data. */
async function restart({ id, grpc }: RunningNode): Promise<void> {
  const grpcPort = Number(grpc.slice(grpc.lastIndexOf(':') + 1));
  const dataDir = `${directory.path}/${id}`;
  running.push(await startNode({ id, members: grid.members, dataDir, collections, grpcPort }));
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function ask({ admin }: RunningNode, method: string, path: string): Promise<Answer> {
  const response = await fetch(admin + path, { method });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

/** As the other members have it in the state of the cluster. */
const stateOf = ({ program }: RunningNode, id: string): string | undefined =>
  [...(program.node.meta?.state.members.values() ?? [])].find((member) => member.id === id)?.state;
const votersOf = ({ program }: RunningNode): readonly number[] => program.node.meta?.group.confState.voters ?? [];
const holds = ({ program }: RunningNode, number: number): boolean =>
  [...(program.node.meta?.state.shards.values() ?? [])].some(
    ({ id, replicas }) => id !== 0 && replicas.some(({ member }) => member === number),
  );

/** Two of the voters of the meta group, its leader among them, and the others. */
function parted(): { readonly leaving: RunningNode[]; readonly staying: RunningNode[] } {
  const voters = votersOf(grid.nodes[0]!);
  const isVoter = ({ program }: RunningNode): boolean => voters.includes(program.node.number);
  const leader = grid.nodes.find(({ program }) => program.node.meta?.isLeader === true)!;
  const other = grid.nodes.find((node) => isVoter(node) && node !== leader)!;
  const leaving = [leader, other];
  return { leaving, staying: grid.nodes.filter((node) => !leaving.includes(node)) };
}

/** One after the other: what goes off the first one must not go to the next one. */
async function drain(nodes: readonly RunningNode[], through: RunningNode): Promise<void> {
  for (const { id, program } of nodes) {
    await ask(through, 'POST', `/admin/members/${id}/drain`);
    await eventually(() => !holds(through, program.node.number), { timeoutMs: 20_000 });
  }
}

describe('members that are drained', () => {
  it('leave the lead and the votes of the meta group to others, so that it goes on when they are stopped', async () => {
    const { leaving, staying } = parted();
    const through = staying[0]!;
    const numbers = staying.map(({ program }) => program.node.number);
    await drain(leaving, through);
    await eventually(() => numbers.every((number) => votersOf(through).includes(number)), { timeoutMs: 15_000 });
    await eventually(() => staying.some(({ program }) => program.node.meta?.isLeader === true));
    const members = [...(through.program.node.meta?.state.members.values() ?? [])];
    const records = members.filter(({ number }) => !numbers.includes(number));
    await Promise.all(leaving.map((node) => node.stop()));
    for (const node of leaving) {
      await eventually(() => stateOf(through, node.id) === 'down', { timeoutMs: 15_000 });
    }
    await eventually(async () => {
      const { body: health } = await ask(through, 'GET', '/admin/health');
      const drained = leaving.map(({ id }) => expect.objectContaining({ id, state: 'drained' }) as unknown);
      expect(health).toMatchObject({ status: 'ok', members: expect.arrayContaining(drained) as unknown });
      const count = staying.length;
      const { body: status } = await ask(through, 'GET', '/admin/cluster/status');
      expect(status).toMatchObject({ total_nodes: count, active_nodes: count });
      return true;
    });
    for (const node of leaving) {
      expect(await ask(through, 'DELETE', `/admin/members/${node.id}`)).toMatchObject({ status: 200 });
    }
    for (const { id, incarnation } of records) {
      const { clusterId, meta } = through.program.node;
      const about = { address: 'host:1', admin: '', zone: '', commandVersion, capacityBytes: 0, replaces: 0 };
      const request = { clusterId, clusterUid: meta?.state.cluster?.id ?? '', nodeId: id, incarnation, ...about };
      await expect(through.program.node.admit(request)).rejects.toThrow(`member ${id} was removed from the cluster`);
    }
    await eventually(() => votersOf(through).every((voter) => numbers.includes(voter)), { timeoutMs: 15_000 });
    await eventually(async () => {
      const { body } = await ask(through, 'GET', '/admin/health');
      expect(body).toMatchObject({ status: 'ok', members: [] });
      return true;
    });
    expect(await ask(through, 'PUT', '/admin/collections/later')).toMatchObject({ status: 201 });
  });

  it('are drained on when they have been down and come back', async () => {
    const { leaving, staying } = parted();
    const [node] = leaving as [RunningNode];
    const through = staying[0]!;
    await drain([node], through);
    await node.stop();
    await eventually(() => stateOf(through, node.id) === 'down', { timeoutMs: 15_000 });
    await restart(node);
    await eventually(() => stateOf(through, node.id) !== 'down', { timeoutMs: 15_000 });
    expect(stateOf(through, node.id)).toBe('draining');
    expect(await ask(through, 'POST', `/admin/members/${node.id}/recommission`)).toMatchObject({
      status: 200,
      body: { id: node.id, state: 'up' },
    });
  });

  it('are told so when they come back after they were removed, instead of waiting for ever', async () => {
    const { leaving, staying } = parted();
    const [node] = leaving as [RunningNode];
    const through = staying[0]!;
    await drain([node], through);
    await node.stop();
    await eventually(() => stateOf(through, node.id) === 'down', { timeoutMs: 15_000 });
    expect(await ask(through, 'DELETE', `/admin/members/${node.id}`)).toMatchObject({ status: 200 });
    await expect(restart(node)).rejects.toThrow(`member ${node.id} was removed from the cluster`);
  });

  it('are removed only when they are down and hold nothing', async () => {
    const { leaving, staying } = parted();
    const [node] = leaving as [RunningNode];
    const through = staying[0]!;
    const remove = () => ask(through, 'DELETE', `/admin/members/${node.id}`);
    expect(await remove()).toMatchObject({ status: 409, body: { code: 'FailedPrecondition' } });
    await node.stop();
    await eventually(() => stateOf(through, node.id) === 'down', { timeoutMs: 15_000 });
    expect((await remove()).body).toMatchObject({ detail: expect.stringContaining('holds') as string });
    expect((await ask(through, 'DELETE', '/admin/members/nobody')).status).toBe(404);
  });
});

describe('a member that stays away', () => {
  it('is replaced where it held something, after the bound and by itself', async () => {
    const { leaving, staying } = parted();
    const [away, through] = [leaving[1]!, staying[0]!];
    const { meta } = through.program.node;
    const kept = { partitionCount: 4, replicaCount: 3, shardType: 'raft', durability: 'persistent' } as const;
    const rest = { classIds: [], options: {}, invocations: { fnRoutes: {}, disabledFn: [] } };
    await meta?.propose({ type: 'putCollection', spec: { name: 'kept', ...kept, ...rest } });
    await meta?.propose({ type: 'setSettings', settings: { nodeDownMs: 1000 } });
    const holders = (): number[][] =>
      [...(meta?.state.shards.values() ?? [])]
        .filter(({ collection }) => collection === 'kept')
        .map(({ replicas }) => replicas.map(({ member }) => member).sort());
    const { number } = away.program.node;
    await eventually(() => holders().length === 4 && holders().every(({ length }) => length === 3));
    expect(holders().flat()).toContain(number);
    await away.stop();
    const others = grid.nodes.map(({ program }) => program.node.number).filter((one) => one !== number);
    await eventually(() => holders().every((one) => one.join() === others.sort().join()), { timeoutMs: 30_000 });
  }, 60_000);
});
