import {
  AppError,
  type ClassFunction,
  createFunctionProgram,
  type FunctionProgram,
  loadFunctionConfig,
} from '@oaas/commons/function';
import { createLogger } from '@oaas/commons/telemetry';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { data } from '@oaas/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type RunningNode, startGrid, startNode } from '../../testkit/index.ts';

/** Real nodes and real functions: a change at the grid -> an event -> a function -> the grid. */
let directory: TempDir;
let port = 0;
const running: { stop(): Promise<void> }[] = [];

beforeEach(async () => {
  directory = await tempDir();
  [port = 0] = await freePorts(1);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
  await directory.remove();
});

interface Told {
  readonly fn: string;
  readonly id: string;
  readonly info: data.EventInfo | undefined;
  readonly object: string | undefined;
}

async function serve(functions: Record<string, ClassFunction>, grpc: string): Promise<FunctionProgram> {
  const config = loadFunctionConfig(
    { FUNCTION_PORT: String(port), FUNCTION_BIND_HOST: '127.0.0.1', ODGM_ENDPOINT: `http://${grpc}` },
    [],
  );
  const logger = createLogger({ service: 'function', level: 'silent' });
  const program = createFunctionProgram(functions, config, {
    ...{ clock: systemClock, timers: systemTimers, random: systemRandom, logger },
  });
  await program.group.start();
  running.push({ stop: () => program.group.stop() });
  return program;
}

/** Functions `told` and, for objects, `told-of`, which note what they are told. */
function listener(told: Told[]): Record<string, ClassFunction> {
  const note: ClassFunction = (call) => {
    const { eventInfo } = data.TriggerPayload.decode(call.payload);
    const id = call.options['x-oaas-event-id'] ?? '';
    told.push({ fn: call.functionName, id, info: eventInfo, object: call.objectId });
  };
  return { told: note, 'told-of': note };
}

const collections = (more: object) => {
  const route = (stateless: boolean) => ({ url: `http://127.0.0.1:${String(port)}`, stateless });
  const fnRoutes = { told: route(true), 'told-of': route(false), again: route(false) };
  return [{ name: 'test.Class', partitionCount: 1, invocations: { fnRoutes, disabledFn: [] }, ...more }];
};

const target = (fnId: string, objectId?: string): data.TriggerTarget =>
  data.TriggerTarget.fromPartial({ clsId: 'test.Class', fnId, ...(objectId === undefined ? {} : { objectId }) });
const on = (key: string, targets: data.TriggerTarget[]) =>
  data.ObjectEvent.fromPartial({ dataTrigger: { [key]: { onCreate: targets, onUpdate: targets, onDelete: targets } } });
const bytes = (text: string) => ({ data: Buffer.from(text) });
const address = { clsId: 'test.Class', partitionId: 0, objectId: 'o' };

const set = ({ data: client }: RunningNode, text: string, event?: data.ObjectEvent) =>
  client.set({ ...address, object: { entries: { a: bytes(text) }, event } });
const keysOf = (told: readonly Told[]) => told.map(({ info }) => `${info?.key ?? ''} ${String(info?.eventType)}`);

describe.each([
  ['raft', 1],
  ['basic', 1],
  ['mst', 1],
])('an accepted change of an object with triggers, in a collection of type %s', (shardType, replicaCount) => {
  it('calls the functions that the object names, with and without an object, once each', async () => {
    const told: Told[] = [];
    const node = await startNode({ dataDir: directory.path, collections: collections({ shardType, replicaCount }) });
    running.push(node);
    await serve(listener(told), node.grpc);
    expect(await node.data.capabilities({})).toMatchObject({ eventPipelineV2: true });
    await set(node, '1', on('a', [target('told'), target('told-of', 'watcher')]));
    await eventually(() => {
      expect(told.map(({ fn, object }) => [fn, object]).sort()).toEqual([
        ['told', undefined],
        ['told-of', 'watcher'],
      ]);
    });
    await node.data.deleteValue({ ...address, key: 'a' });
    await node.data.setValue({ ...address, key: 'b', value: bytes('x') });
    await eventually(() => {
      expect(keysOf(told.filter(({ fn }) => fn === 'told'))).toEqual(['a 3', 'a 5']);
    });
    await eventually(async () => {
      const { text } = await metrics(node);
      expect(text).toContain('odgm_event_triggers_total{service="odgm"} 4');
      expect(text).toContain('odgm_event_processing_duration_seconds_count{service="odgm"} 4');
      expect(text).toContain('odgm_event_queue_size{service="odgm"} 0');
      expect(text).toContain('odgm_event_processing_errors_total{service="odgm"} 0');
    });
  });
});

async function metrics(node: RunningNode) {
  return { text: await (await fetch(`${node.admin}/metrics`)).text() };
}

it.each(['raft', 'mst'])(
  'the end of a call sets off what its object has for that, through any node, in a collection of type %s',
  async (shardType) => {
    const told: Told[] = [];
    const grid = await startGrid({
      ...{ dataDir: directory.path, ids: ['n1', 'n2', 'n3'] },
      collections: collections({ shardType, replicaCount: 2 }),
    });
    running.push(...grid.nodes);
    const [first] = grid.nodes;
    if (first === undefined) throw new Error('no node');
    const answers: ClassFunction = (call) => {
      if (call.text() === 'fail') throw new AppError('as asked');
      return 'well done';
    };
    await serve({ ...listener(told), again: answers }, first.grpc);
    const event = data.ObjectEvent.fromPartial({
      funcTrigger: { again: { onComplete: [target('told')], onError: [target('told-of', 'watcher')] } },
    });
    await set(first, '1', event);
    for (const { functions } of grid.nodes) {
      await eventually(async () => {
        // A replica may still be without what another one took.
        await functions.invokeObj({ ...address, fnId: 'again' });
        return told.length > 0;
      });
      expect(told[0]).toMatchObject({
        fn: 'told',
        info: { eventType: data.EventType.EVENT_TYPE_FUNC_COMPLETE, fnId: 'again', sourceObjectId: 'o' },
      });
      await functions.invokeObj({ ...address, fnId: 'again', payload: Buffer.from('fail') });
      await eventually(() => {
        expect(told.find(({ fn }) => fn === 'told-of')).toMatchObject({
          object: 'watcher',
          info: { eventType: data.EventType.EVENT_TYPE_FUNC_ERROR, fnId: 'again' },
        });
      });
      await functions.invokeObj({ ...address, fnId: 'not-there' });
      told.splice(0);
    }
  },
  60_000,
);

it('what a replica that merges has not delivered goes to another one before it is removed', async () => {
  const told: Told[] = [];
  const grid = await startGrid({
    ...{ dataDir: directory.path, ids: ['n1', 'n2', 'n3'] },
    collections: collections({ shardType: 'mst', replicaCount: 2 }),
  });
  running.push(...grid.nodes);
  const shardOf = ({ program }: RunningNode) => program.node.collections()[0]?.handle(0);
  const taker = await eventually(() => grid.nodes.find((node) => shardOf(node)?.isPrimary === true) ?? false);
  await set(taker, '1', on('a', [target('told')]));
  await taker.data.set({
    ...{ ...address, objectId: 'dead' },
    object: { entries: { a: bytes('1') }, event: on('a', [target('nobody')]) },
  });
  await eventually(() => {
    expect(shardOf(taker)?.outbox.counts).toMatchObject({ events: 1, letters: 1 });
  });
  const ids = async () => {
    const response = await fetch(`${taker.admin}/admin/dead-letters`);
    const { dead_letters: letters } = (await response.json()) as { dead_letters: { event_id: string; node: string }[] };
    return letters.map(({ event_id: id, node }) => ({ id, node }));
  };
  const [before] = await ids();
  expect(before?.node).toBe(taker.id);
  await fetch(`${taker.admin}/admin/members/${taker.id}/drain`, { method: 'POST' });
  await eventually(
    async () => {
      expect(shardOf(taker)).toBeUndefined();
      const [after] = await ids();
      expect(after?.id).toBe(before?.id);
      expect(after?.node).not.toBe(taker.id);
    },
    { timeoutMs: 30_000 },
  );
  await serve(listener(told), taker.grpc);
  await eventually(
    () => {
      expect(keysOf(told)).toEqual(['a 3']);
    },
    { timeoutMs: 40_000 },
  );
}, 90_000);

it('triggers that set each other off end at the depth that is allowed', async () => {
  const node = await startNode({
    ...{ dataDir: directory.path, collections: collections({}) },
    env: { ODGM_MAX_TRIGGER_DEPTH: '3' },
  });
  running.push(node);
  let calls = 0;
  await serve(
    {
      again: async (call) => {
        calls += 1;
        await call.object.update((draft) => {
          draft.set('a', String(calls));
        });
      },
    },
    node.grpc,
  );
  await set(node, '0', on('a', [target('again', 'o')]));
  const shard = node.program.node.collections()[0]?.handle(0);
  await eventually(() => {
    expect([...(shard?.outbox.letters() ?? [])].map(({ death }) => death.reason)).toEqual(['depth']);
  });
  expect(calls).toBe(3);
  expect((await metrics(node)).text).toContain('odgm_event_processing_errors_total{service="odgm"} 1');
});

it('a change that was answered is told although its leader dies before it could tell anybody', async () => {
  const told: Told[] = [];
  const grid = await startGrid({
    ...{ dataDir: directory.path, ids: ['n1', 'n2', 'n3'] },
    collections: collections({ shardType: 'raft', replicaCount: 3 }),
  });
  running.push(...grid.nodes);
  const leader = await eventually(
    () => grid.nodes.find(({ program }) => program.node.collections()[0]?.handle(0)?.isPrimary === true) ?? false,
  );
  // The function is not there yet: what the leader tries comes to nothing.
  await set(leader, '1', on('a', [target('told')]));
  await set(leader, '2', on('a', [target('told')]));
  // All have them by now: the next leader has nothing to apply that would remind it.
  await eventually(() => {
    for (const { program } of grid.nodes) {
      expect(program.node.collections()[0]?.handle(0)?.outbox.counts.events).toBe(2);
    }
  });
  running.splice(running.indexOf(leader), 1);
  await leader.stop();
  const other = grid.nodes.find((node) => node !== leader);
  if (other === undefined) throw new Error('no other node');
  await serve(listener(told), other.grpc);
  await eventually(
    () => {
      expect(keysOf(told)).toEqual(['a 3', 'a 4']);
    },
    { timeoutMs: 30_000 },
  );
  await eventually(() => {
    const counts = grid.nodes
      .filter((node) => node !== leader)
      .map(({ program }) => program.node.collections()[0]?.handle(0)?.outbox.counts);
    expect(counts).toMatchObject([{ events: 0 }, { events: 0 }]);
  });
  expect(new Set(told.map(({ id }) => id)).size).toBe(2);
}, 60_000);

it('a call that takes longer than a trigger may is given up and made again, under the same id', async () => {
  const node = await startNode({
    ...{ dataDir: directory.path, collections: collections({}) },
    env: { ODGM_TRIGGER_TIMEOUT_MS: '200' },
  });
  running.push(node);
  const ids: string[] = [];
  let givenUp = false;
  await serve(
    {
      told: async (call) => {
        ids.push(call.options['x-oaas-event-id'] ?? '');
        if (ids.length > 1) return;
        await new Promise<void>((resolve) => {
          call.signal.addEventListener('abort', () => {
            givenUp = true;
            resolve();
          });
        });
      },
    },
    node.grpc,
  );
  await set(node, '1', on('a', [target('told')]));
  const shard = node.program.node.collections()[0]?.handle(0);
  await eventually(() => {
    expect(shard?.outbox.counts).toMatchObject({ events: 0, letters: 0 });
    expect(ids).toHaveLength(2);
  });
  expect([givenUp, ids[0]]).toEqual([true, ids[1]]);
});

it('nothing is written for triggers where events are off, and the capability says so', async () => {
  const node = await startNode({
    ...{ dataDir: directory.path, collections: collections({}) },
    env: { ODGM_EVENTS_ENABLED: 'false' },
  });
  running.push(node);
  await set(node, '1', on('a', [target('told')]));
  expect(await node.data.capabilities({})).toMatchObject({ eventPipelineV2: false });
  expect(node.program.node.collections()[0]?.handle(0)?.outbox.counts.events).toBe(0);
});
