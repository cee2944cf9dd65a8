import { createDataClient } from '@oaas/commons/client';
import { createFunctionProgram, loadFunctionConfig } from '@oaas/commons/function';
import { createGrpcChannel } from '@oaas/commons/grpc';
import { createLogger } from '@oaas/commons/telemetry';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { data } from '@oaas/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type NodeProcess, spawnNode, untilReady } from '../testkit/index.ts';

/** Real processes, real files, real signals: what is told of changes whose node was killed. */
let directory: TempDir;
const cleanup: (() => unknown)[] = [];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  for (const run of cleanup.splice(0).reverse()) await run();
  await directory.remove();
});

const target = data.TriggerTarget.fromPartial({ clsId: 'c', fnId: 'told' });
const trigger = { onCreate: [target], onUpdate: [target] };
const event = data.ObjectEvent.fromPartial({ dataTrigger: { n: trigger } });

describe.each(['raft', 'basic', 'mst'])(
  'kill -9 of a node with objects that have triggers, of type %s',
  (shardType) => {
    it('leaves no acknowledged change untold', async () => {
      const [port = 0] = await freePorts(1);
      const fnRoutes = { told: { url: `http://127.0.0.1:${String(port)}`, stateless: true } };
      const collections = [{ name: 'c', shardType, invocations: { fnRoutes, disabledFn: [] } }];
      const started = async (): Promise<NodeProcess> => {
        const node = await spawnNode({ dataDir: directory.path, collections });
        cleanup.push(async () => {
          if (node.child.exitCode === null) node.child.kill('SIGKILL');
          await node.ended;
        });
        await untilReady(node);
        return node;
      };
      const node = await started();
      const channel = createGrpcChannel(node.grpc);
      cleanup.push(() => {
        channel.close();
      });
      const client = createDataClient(channel);

      // From here on until the function is served, no call of a trigger can succeed.
      const versions = new Map<string, number>();
      const writing = Promise.all(
        Array.from({ length: 8 }, async (_, writer) => {
          const objectId = `w${String(writer)}`;
          for (let n = 1; ; n++) {
            const object = { entries: { n: { data: Buffer.from(String(n)) } }, event };
            try {
              await client.set({ clsId: 'c', partitionId: 0, objectId, object });
            } catch {
              return;
            }
            versions.set(objectId, n);
          }
        }),
      );
      await eventually(() => versions.size === 8 && [...versions.values()].every((n) => n >= 10), {
        timeoutMs: 30_000,
      });
      node.child.kill('SIGKILL');
      await writing;
      await node.ended;

      const told = new Map<string, Set<number>>();
      const ids = new Map<string, string>();
      const confused: string[] = [];
      const again = await started();
      const program = createFunctionProgram(
        {
          told: (call) => {
            const info = data.TriggerPayload.decode(call.payload).eventInfo;
            const objectId = info?.sourceObjectId ?? '';
            const version = Number(info?.context['version_after']);
            told.set(objectId, (told.get(objectId) ?? new Set()).add(version));
            const id = call.options['x-oaas-event-id'] ?? '';
            const change = `${objectId} ${String(version)}`;
            if ((ids.get(id) ?? change) !== change) confused.push(id);
            ids.set(id, change);
          },
        },
        loadFunctionConfig(
          { FUNCTION_PORT: String(port), FUNCTION_BIND_HOST: '127.0.0.1', ODGM_ENDPOINT: `http://${again.grpc}` },
          [],
        ),
        {
          ...{ clock: systemClock, timers: systemTimers, random: systemRandom },
          logger: createLogger({ service: 'function', level: 'silent' }),
        },
      );
      await program.group.start();
      cleanup.push(() => program.group.stop());
      await eventually(
        () => {
          for (const [objectId, last] of versions) {
            const seen = told.get(objectId) ?? new Set();
            const missing = Array.from({ length: last }, (_, i) => i + 1).filter((version) => !seen.has(version));
            expect(missing, objectId).toEqual([]);
          }
        },
        { timeoutMs: 60_000, intervalMs: 50 },
      );
      // One id is of one change, before the end of the node and after it.
      expect(confused).toEqual([]);
    }, 120_000);
  },
);
