import { type TempDir, eventually, tempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type RunningNode, startGrid, startNode } from '../../testkit/index.ts';

let directory: TempDir;
const running: { stop(): Promise<void> }[] = [];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await Promise.allSettled(running.splice(0).map((one) => one.stop()));
  await directory.remove();
});

async function settings({ admin }: RunningNode, change?: unknown): Promise<Record<string, unknown>> {
  const asked =
    change === undefined
      ? {}
      : { method: 'PUT', body: JSON.stringify(change), headers: { 'content-type': 'application/json' } };
  const response = await fetch(`${admin}/admin/settings`, asked);
  return { ...((await response.json()) as object), http: response.status };
}

async function single(env: Readonly<Record<string, string>> = {}): Promise<RunningNode> {
  const node = await startNode({ dataDir: directory.path, collections: [{ name: 'c' }], env });
  running.push(node);
  return node;
}

describe('the settings of the grid', () => {
  it('with autoRebalance on, a node that joins gets replicas without anybody asking', async () => {
    const collections = [{ name: 'c', shardType: 'raft', partitionCount: 6 }];
    const grid = await startGrid({ dataDir: directory.path, ids: ['n1', 'n2'], collections });
    running.push(grid);
    const [, second] = grid.nodes as [RunningNode, RunningNode];
    expect(await settings(second)).toMatchObject({ http: 200, auto_rebalance: 'suggest', node_down_ms: 60_000 });
    // Any node takes it, also one that does not lead.
    expect(await settings(second, { auto_rebalance: 'on' })).toMatchObject({ http: 200, auto_rebalance: 'on' });
    const [port] = (await freePorts(1)) as [number];
    const members = [...grid.members, `n3=127.0.0.1:${String(port)}`];
    const dataDir = `${directory.path}/n3`;
    const third = await startNode({ id: 'n3', members, collections, dataDir, grpcPort: port });
    running.push(third);
    const held = await eventually(
      () => {
        const count = third.program.node.collections()[0]?.handles().length ?? 0;
        return count >= 2 && count;
      },
      { timeoutMs: 20_000 },
    );
    expect(held).toBe(2);
  });

  it('change by what is named, bound by bound, and are refused whole when one of them makes no sense', async () => {
    const node = await single();
    const before = await settings(node);
    const throttle = before['throttle'] as Record<string, unknown>;
    const changed = await settings(node, { throttle: { moves_per_node: 5 }, meta_replicas: 5, check_every_ms: 0 });
    expect(before).toMatchObject({ check_every_ms: 86_400_000 });
    expect(changed).toEqual({
      ...before,
      meta_replicas: 5,
      check_every_ms: 0,
      throttle: { ...throttle, moves_per_node: 5 },
    });
    for (const bad of [
      {},
      { auto_rebalance: 'always' },
      { autoRebalanc: 'on' },
      { node_down_ms: 10 },
      { meta_replicas: 2 },
      { check_every_ms: 59_999 },
      { check_every_ms: 10 ** 12 },
      { meta_replicas: 3, rebalance_below: 0.99 },
      { throttle: { moves_per_node: -1 } },
      { throttle: { bytes: 1 } },
      ['on'],
    ]) {
      expect(await settings(node, bad), JSON.stringify(bad)).toMatchObject({ http: 400, code: 'InvalidArgument' });
    }
    expect(await settings(node)).toEqual(changed);
    // What is shown can be sent back.
    const { http, ...shown } = changed;
    expect(await settings(node, shown)).toEqual({ http, ...shown });
  });

  it('of a configuration count for the grid that a node forms, and not for one that there is', async () => {
    const first = await single({ ODGM_SETTINGS_AUTO_REBALANCE: 'off', ODGM_SETTINGS_THROTTLE_MOVES_PER_NODE: '7' });
    const formed = await settings(first);
    expect(formed).toMatchObject({ auto_rebalance: 'off', throttle: { moves_per_node: 7, moves_per_cluster: 8 } });
    await first.stop();
    expect(await settings(await single({ ODGM_SETTINGS_AUTO_REBALANCE: 'on' }))).toEqual(formed);
  });

  it('that make no sense keep a node from starting', async () => {
    const env = { ODGM_SETTINGS_REBALANCE_BELOW: '0.99' };
    await expect(single(env)).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining('rebalanceBelow') as string,
    });
  });
});
