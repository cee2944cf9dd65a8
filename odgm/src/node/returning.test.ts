import { createGridAdminClient } from '@oaas/commons/client';
import { createLogger } from '@oaas/commons/telemetry';
import { systemTimers } from '@oaas/commons/time/system';
import { type TempDir, eventually, tempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RunningGrid, type RunningNode, startGrid, startNode } from '../../testkit/index.ts';
import { openDurableEngine } from '../storage/durable.ts';

/** A node that was away for so long that its replicas were made elsewhere. */
let directory: TempDir;
let grid: RunningGrid;
let running: RunningNode[];
const collections = [
  { name: 'raft', shardType: 'raft', partitionCount: 2, replicaCount: 3 },
  { name: 'mst', shardType: 'mst', partitionCount: 2, replicaCount: 3 },
];
const marker = 'what-was-there';
const objects = 20;

beforeEach(async () => {
  directory = await tempDir();
  grid = await startGrid({ dataDir: directory.path, ids: ['n1', 'n2', 'n3', 'n4'], collections });
  running = [...grid.nodes];
});
afterEach(async () => {
  await Promise.allSettled(running.map((one) => one.stop()));
  await directory.remove();
});

async function stop(node: RunningNode): Promise<void> {
  running = running.filter((one) => one !== node);
  await node.stop();
}

async function restart({ id, grpc }: RunningNode): Promise<RunningNode> {
  const grpcPort = Number(grpc.slice(grpc.lastIndexOf(':') + 1));
  const dataDir = `${directory.path}/${id}`;
  const node = await startNode({ id, members: grid.members, dataDir, collections, grpcPort });
  running.push(node);
  return node;
}

async function put({ admin }: RunningNode, settings: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${admin}/admin/settings`, { method: 'PUT', headers, body: JSON.stringify(settings) });
  expect(response.status).toBe(200);
}

const holds = ({ program }: RunningNode, number: number): boolean =>
  [...(program.node.meta?.state.shards.values() ?? [])].some(
    ({ id, replicas }) => id !== 0 && replicas.some(({ member }) => member === number),
  );

const target = (clsId: string, i: number) => ({ clsId, partitionId: i % 2, objectId: `o${String(i)}` });

async function write({ data }: RunningNode, text: string): Promise<void> {
  for (const { name } of collections) {
    for (let i = 0; i < objects; i++) {
      const object = { entries: { k: { data: Buffer.from(text) } } };
      await eventually(() => data.set({ ...target(name, i), object }).then(() => true));
    }
  }
}

/** Values with the marker in the directory of a node that does not run. */
async function stored(id: string): Promise<number> {
  const engine = await openDurableEngine({
    ...{ directory: `${directory.path}/${id}`, owner: 'the test', timers: systemTimers },
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
  try {
    const all = engine.range({ start: Uint8Array.of(0), end: new Uint8Array(16).fill(0xff) });
    return [...all].filter(({ value }) => Buffer.from(value).includes(marker)).length;
  } finally {
    await engine.close();
  }
}

it('a node whose replicas were made elsewhere gives up its data when it comes back, and is used again', async () => {
  const through = grid.nodes[0]!;
  const away = grid.nodes.slice(1).find((node) => holds(through, node.program.node.number))!;
  const { number } = away.program.node;
  await write(through, marker);
  await stop(away);
  expect(await stored(away.id)).toBeGreaterThan(0);
  await put(through, { node_down_ms: 1000 });
  await eventually(() => !holds(through, number), { timeoutMs: 40_000 });
  await put(through, { node_down_ms: 60_000 });
  await write(through, 'newer');

  let back = await restart(away);
  // It gives up its data once it has caught up with the others, and piece by piece: what is left is seen when it is stopped.
  for (let patienceMs = 500; ; patienceMs *= 2) {
    await new Promise((resolve) => setTimeout(resolve, patienceMs));
    const serves = back.program.node.collections().some((one) => one.handles().length > 0);
    await stop(back);
    const left = await stored(away.id);
    back = await restart(away);
    if (left === 0 && !serves) break;
    expect(patienceMs).toBeLessThan(16_000);
  }
  expect(back.program.node.number).toBe(number);
  expect(holds(through, number)).toBe(false);

  // Silent for longer, it was noted as down: nothing is moved to it before the others have heard it.
  await eventually(() => through.program.node.meta?.state.members.get(number)?.state === 'up');
  await createGridAdminClient(through.channel).startTask({ kind: 'rebalance' });
  await eventually(() => back.program.node.collections().some((one) => one.handles().length > 0), {
    timeoutMs: 30_000,
  });
  for (const { name } of collections) {
    for (let i = 0; i < objects; i++) {
      const { obj } = await eventually(() => back.data.get(target(name, i)));
      expect(obj?.entries['k']?.data.toString()).toBe('newer');
    }
  }
}, 120_000);
