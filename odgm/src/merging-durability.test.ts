import { createDataClient, type DataClient } from '@oaas/commons/client';
import { type Channel, createGrpcChannel } from '@oaas/commons/grpc';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type NodeProcess, spawnNode, untilReady } from '../testkit/index.ts';

/** Replicas that merge, in real processes with real files and real signals. */
let directory: TempDir;
const processes: NodeProcess[] = [];
const channels: Channel[] = [];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  for (const channel of channels.splice(0)) channel.close();
  for (const { child } of processes) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all(processes.splice(0).map(({ ended }) => ended));
  await directory.remove();
});

const own = { metadata: { 'x-oaas-hop': '1' } };
const collections = [{ name: 'c', shardType: 'mst', replicaCount: 2 }];

function clientOf({ grpc }: NodeProcess): DataClient {
  const channel = createGrpcChannel(grpc);
  channels.push(channel);
  return createDataClient(channel);
}

/** Writes objects of its own, one after the other, until the node is gone. */
async function writeUntilGone(client: DataClient, name: string, acknowledged: string[]): Promise<void> {
  await Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; ; n++) {
        const objectId = `${name}.${String(writer)}.${String(n)}`;
        const entries = { a: { data: Buffer.from(objectId) }, b: { data: Buffer.from(objectId) } };
        try {
          await client.set({ clsId: 'c', objectId, object: { entries } }, own);
        } catch {
          return;
        }
        acknowledged.push(objectId);
      }
    }),
  );
}

describe('kill -9 of replicas that merge', () => {
  it('loses no write that any of them acknowledged, and all have all of them in the end', async () => {
    const ids = ['n1', 'n2'];
    const ports = await freePorts(4);
    const members = ids.map((id, i) => `${id}=127.0.0.1:${String(ports[i])}`);
    const start = async (i: number): Promise<NodeProcess> => {
      const id = ids[i]!;
      const options = { id, members, collections, dataDir: `${directory.path}/${id}` };
      const node = await spawnNode({ ...options, ports: [ports[i]!, ports[i + 2]!] });
      processes.push(node);
      return node;
    };
    const nodes = await Promise.all([start(0), start(1)]);
    await Promise.all(nodes.map(untilReady));
    const acknowledged: string[] = [];
    const writing = nodes.map((node, i) => writeUntilGone(clientOf(node), ids[i]!, acknowledged));
    const countOf = (id: string): number => acknowledged.filter((name) => name.startsWith(id)).length;
    await eventually(() => countOf('n1') > 200 && countOf('n2') > 200, { timeoutMs: 20_000 });
    nodes[0].child.kill('SIGKILL');
    await writing[0];
    const before = countOf('n2');
    // The other one goes on alone, and dies alone.
    await eventually(() => countOf('n2') > before + 200, { timeoutMs: 20_000 });
    nodes[1].child.kill('SIGKILL');
    await writing[1];

    const again = await Promise.all([start(0), start(1)]);
    await Promise.all(again.map(untilReady));
    for (const node of again) {
      const client = clientOf(node);
      await eventually(
        async () => {
          for (const objectId of acknowledged) {
            const { obj } = await client.get({ clsId: 'c', objectId }, own);
            const values = ['a', 'b'].map((key) => obj?.entries[key]?.data.toString());
            expect(values).toEqual([objectId, objectId]);
          }
          return true;
        },
        { timeoutMs: 20_000 },
      );
    }
  }, 120_000);
});
