import { type TempDir, eventually, tempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type RunningNode, startNode } from '../../testkit/index.ts';

let directory: TempDir;
const running: RunningNode[] = [];
const collections = [{ name: 'c', shardType: 'raft', partitionCount: 2 }];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await Promise.allSettled(running.splice(0).map((one) => one.stop()));
  await directory.remove();
});

async function post<T>({ admin }: RunningNode, path: string): Promise<T> {
  return (await (await fetch(admin + path, { method: 'POST' })).json()) as T;
}

interface Task {
  readonly state: string;
  readonly findings: readonly { readonly code: string; readonly message: string }[];
}

describe('a node that may hold so much', () => {
  it('takes no replica beyond that: a move that was planned before ends with the reason, and none is planned', async () => {
    const ports = await freePorts(2);
    const members = ['n1', 'n2'].map((id, i) => `${id}=127.0.0.1:${String(ports[i])}`);
    const start = async (i: number, listed: readonly string[], env = {}): Promise<RunningNode> => {
      const id = `n${String(i + 1)}`;
      const about = { id, members: listed, collections, grpcPort: ports[i]!, dataDir: `${directory.path}/${id}` };
      const node = await startNode({ ...about, env });
      running.push(node);
      return node;
    };
    const first = await start(0, members.slice(0, 1));
    await start(1, members, { ODGM_CAPACITY_BYTES: '20000' });
    // Both shards are on the first node, and small: one of them is to go. It waits.
    const started = await post<{ task_id: string }>(first, '/admin/rebalance?movesPerCluster=0');
    const value = { data: Buffer.alloc(30_000) };
    for (const partitionId of [0, 1]) {
      await first.data.set({ clsId: 'c', partitionId, objectId: 'o', object: { entries: { k: value } } });
    }
    await post(first, `/admin/tasks/${started.task_id}/throttle?movesPerCluster=8`);
    const task = await eventually(async () => {
      const response = await fetch(`${first.admin}/admin/tasks/${started.task_id}`);
      const found = (await response.json()) as Task;
      return found.state !== 'running' && found;
    });
    expect(task.state).toBe('failed');
    expect(JSON.stringify(task.findings)).toContain('Capacity');
    const rebalance = await post<object>(first, '/admin/rebalance?dry_run=true');
    expect(rebalance).toMatchObject({ moves: [] });
    const drain = await post<object>(first, '/admin/members/n1/drain?dry_run=true');
    expect(drain).toMatchObject({ moves: [], reason: 'capacity' });
  });
});

describe('the zone of a node', () => {
  it('is what its environment says, unless the list of members says another one; none where that is empty', async () => {
    const ports = await freePorts(3);
    const members = ['n1', 'n2', 'n3'].map((id, i) => `${id}=127.0.0.1:${String(ports[i])}${i === 1 ? ';zone=b' : ''}`);
    for (const [i, ODGM_ZONE] of ['a', 'elsewhere', ''].entries()) {
      const id = `n${String(i + 1)}`;
      const listed = i === 0 ? members.slice(0, 1) : members;
      const about = { id, members: listed, collections, grpcPort: ports[i]!, dataDir: `${directory.path}/${id}` };
      running.push(await startNode({ ...about, env: { ODGM_ZONE } }));
    }
    const zones = await eventually(async () => {
      const response = await fetch(`${running[0]!.admin}/admin/cluster/members`);
      const found = ((await response.json()) as { members: { zone: string }[] }).members;
      return found.length === 3 && found.map(({ zone }) => zone);
    });
    expect(zones).toEqual(['a', 'b', '']);
  });
});
