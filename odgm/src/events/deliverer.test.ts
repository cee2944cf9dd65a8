import { oaasError } from '@oaas/commons/errors';
import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { data, invoke } from '@oaas/proto';
import { describe, expect, it } from 'vitest';
import { Outbox, type OutboxCounts } from '../shard/index.ts';
import { countsKey, decodeCounts } from '../shard/outbox-records.ts';
import { type NewEvent, OutboxTransaction } from '../shard/outbox-transaction.ts';
import { createMemoryEngine } from '../storage/memory.ts';
import { Deliverer } from './deliverer.ts';

const { ResponseStatus } = invoke;
const location = { shard: 7, generation: 1 };

interface Call {
  readonly fnId: string;
  readonly key: string;
  readonly options: Readonly<Record<string, string>>;
  readonly info: data.EventInfo;
  answer(status: invoke.ResponseStatus, text?: string, headers?: Record<string, string>): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** A shard with an outbox, a deliverer of it, and a function that answers as the test says. */
function setup(options: { readonly maxDepth?: number } = {}) {
  const time = simulatedTime(1_000_000);
  const engine = createMemoryEngine();
  let isActive = true;
  let refusals = 0;
  let index = 100;
  const commit = async <T>(run: (transaction: OutboxTransaction) => T): Promise<T> => {
    const transaction = new OutboxTransaction(engine, location);
    const result = run(transaction);
    await engine.write(transaction.operations());
    return result;
  };
  const counts = (): OutboxCounts => decodeCounts(engine.get(countsKey(location)));
  const outbox = new Outbox({
    ...{ storage: engine, location: () => location, counts, isActive: () => isActive },
    change: (change) => {
      if (refusals > 0) {
        refusals -= 1;
        return Promise.reject(oaasError('Unavailable', 'not now'));
      }
      return commit((transaction) => transaction.change(change, { major: ++index, first: 0, by: 0 }));
    },
  });
  const calls: Call[] = [];
  let inFlight = 0;
  let mostInFlight = 0;
  const deliverer = new Deliverer({
    ...{ clock: time.clock, timers: time.timers, random: seededRandom(1), schedule: queueMicrotask },
    ...{
      maxDepth: options.maxDepth ?? 10,
      timeoutMs: 5000,
      logger: createLogger({ service: 'test', level: 'silent' }),
    },
    port: {
      call: (classId, { request }) =>
        new Promise((resolve, reject) => {
          if (classId === 'no.Class') {
            reject(oaasError('NotFound', 'there is no class no.Class'));
            return;
          }
          mostInFlight = Math.max(mostInFlight, ++inFlight);
          const { eventInfo } = data.TriggerPayload.decode(request.payload);
          if (eventInfo === undefined) throw new Error('no info');
          const ended = async (): Promise<void> => {
            inFlight -= 1;
            await time.advance(0);
          };
          calls.push({
            ...{ fnId: request.fnId, key: eventInfo.key ?? '', options: request.options, info: eventInfo },
            answer: (status, text = '', headers = {}) => {
              resolve({ status, payload: Buffer.from(text), headers, invocationId: '' });
              return ended();
            },
            fail: (error) => {
              reject(error);
              return ended();
            },
          });
        }),
    },
  });
  const owner = { id: 7, collection: 'c', partition: 3, outbox };
  const fire = async (...events: (Partial<Omit<NewEvent, 'target'>> & { readonly target?: object })[]) => {
    await commit((transaction) => {
      index += 1;
      for (const { target, ...event } of events) {
        transaction.append(
          { major: index, first: 0, by: 0 },
          {
            ...{ type: data.EventType.EVENT_TYPE_DATA_UPDATE, objectId: 'o', key: 'a', versions: [1, 2], depth: 1 },
            ...{ at: time.clock.now(), ...event },
            target: data.TriggerTarget.encode(
              data.TriggerTarget.fromPartial({ clsId: 'p.Class', fnId: 'told', ...target }),
            ).finish(),
          },
        );
      }
    });
    deliverer.poke(owner);
    await time.advance(0);
  };
  return {
    ...{ time, calls, counts, outbox, deliverer, owner, fire },
    most: () => mostInFlight,
    next: (): Call => {
      const call = calls.shift();
      if (call === undefined) throw new Error('nobody was called');
      return call;
    },
    letters: () => [...outbox.letters()].map(({ death, event }) => ({ ...death, key: event.key })),
    lead: (leads: boolean) => (isActive = leads),
    refuse: (times: number) => (refusals = times),
  };
}

const okay = ResponseStatus.OKAY;
const system = ResponseStatus.SYSTEM_ERROR;

describe('an event', () => {
  it('is told to its target, with what tells repeats and order, and is gone when that is done', async () => {
    const { fire, next, counts, time } = setup();
    await fire({ key: 'title', target: { reqOptions: { a: 'b' }, partitionId: 2 } });
    const call = next();
    expect(call.options).toEqual({ a: 'b', 'x-oaas-event-id': '7-101-0', 'x-oaas-trigger-depth': '1' });
    expect(call.info).toMatchObject({
      ...{ sourceClsId: 'c', sourcePartitionId: 3, sourceObjectId: 'o', key: 'title', timestamp: 1_000_000 },
      eventType: data.EventType.EVENT_TYPE_DATA_UPDATE,
      context: { event_id: '7-101-0', version_before: '1', version_after: '2', depth: '1' },
    });
    await call.answer(okay);
    expect(counts()).toMatchObject({ events: 0, letters: 0 });
    expect(time.pending()).toBe(0);
  });

  it('is tried again after longer and longer times, and becomes a dead letter after ten tries', async () => {
    const { fire, calls, next, counts, letters, time, deliverer } = setup();
    await fire({});
    const waits: number[] = [];
    for (let tries = 1; tries <= 10; tries++) {
      const from = time.clock.now();
      while (calls.length === 0) await time.advance(50);
      waits.push(time.clock.now() - from);
      expect(counts()).toMatchObject({ events: 1, letters: 0 });
      await next().answer(system, `try ${String(tries)}`);
    }
    expect(waits[0]).toBe(0);
    for (let i = 2; i < waits.length; i++) expect(waits[i]).toBeGreaterThan((waits[i - 1] ?? 0) / 2);
    expect(waits.at(-1)).toBeLessThanOrEqual(30_050);
    expect(letters()).toEqual([{ reason: 'failed', attempts: 10, error: 'SYSTEM_ERROR: try 10', key: 'a' }]);
    expect(counts()).toMatchObject({ events: 0, letters: 1 });
    expect(deliverer.failing).toMatchObject([{ target: 'p.Class.told', failures: 10 }]);
    await time.advance(1_000_000);
    expect(calls).toEqual([]);
  });

  it('that is old is tried once and no more', async () => {
    const { fire, next, letters } = setup();
    await fire({ at: 1_000_000 - 300_000 });
    await next().answer(system, 'no');
    expect(letters()).toMatchObject([{ reason: 'failed', attempts: 1 }]);
  });

  it.each([
    [
      'of a class that there is not',
      { clsId: 'no.Class' },
      undefined,
      'unknown-target',
      'NotFound: there is no class no.Class',
    ],
    [
      'of a function that there is not',
      {},
      { 'x-oaas-error': 'FunctionNotFound' },
      'unknown-target',
      'INVALID_REQUEST: x',
    ],
    ['that the function takes for invalid', {}, {}, 'rejected', 'INVALID_REQUEST: x'],
  ] as const)('%s is a dead letter at once', async (_what, target, headers, reason, error) => {
    const { fire, next, letters, calls } = setup();
    await fire({ target });
    if (headers !== undefined) await next().answer(ResponseStatus.INVALID_REQUEST, 'x', headers);
    expect(letters()).toEqual([{ reason, attempts: 1, error, key: 'a' }]);
    expect(calls).toEqual([]);
  });

  it('deeper than allowed is a dead letter without a call; thousands of them too', async () => {
    const { fire, calls, letters, counts } = setup({ maxDepth: 3 });
    await fire({ depth: 3 });
    expect(calls).toHaveLength(1);
    await fire(...Array.from({ length: 3000 }, () => ({ depth: 4, objectId: 'deep' })));
    expect(calls).toHaveLength(1);
    expect(letters()[0]).toMatchObject({ reason: 'depth', attempts: 0 });
    expect(counts()).toMatchObject({ events: 1, letters: 3000 });
  });

  it('waits while this node has too many calls in flight, which is no try', async () => {
    const { fire, next, time, calls, counts } = setup();
    await fire({});
    for (let i = 0; i < 15; i++) {
      await next().fail(oaasError('ResourceExhausted', 'too many'));
      expect(calls).toEqual([]);
      await time.advance(100);
    }
    await next().answer(okay);
    expect(counts()).toMatchObject({ events: 0, letters: 0 });
  });
});

describe('events', () => {
  it('of one object go to a target in their order, one after the other, also past one that fails', async () => {
    const { fire, next, calls, time } = setup();
    await fire({ key: '1' });
    await fire({ key: '2' }, { key: '3' });
    expect(calls.map(({ key }) => key)).toEqual(['1']);
    await next().answer(system);
    expect(calls).toEqual([]);
    await time.advance(200);
    expect(calls.map(({ key }) => key)).toEqual(['1']);
    await next().answer(okay);
    await next().answer(okay);
    expect(calls.map(({ key }) => key)).toEqual(['3']);
  });

  it('of other objects and for other targets do not wait for it', async () => {
    const { fire, calls } = setup();
    await fire({ key: '1' }, { key: '2', objectId: 'p' }, { key: '3', target: { fnId: 'other' } });
    expect(calls.map(({ key }) => key)).toEqual(['1', '2', '3']);
  });

  it('make at most 64 calls at once, and all get their turn', async () => {
    const { fire, calls, next, most, counts } = setup();
    await fire(...Array.from({ length: 3000 }, (_, i) => ({ objectId: `o${String(i)}` })));
    let ended = 0;
    for (; calls.length > 0; ended++) await next().answer(okay);
    expect([ended, most(), counts().events]).toEqual([3000, 64, 0]);
  }, 30_000);

  it('are delivered again by the next leader, under the same ids, from where the outbox is', async () => {
    const { fire, next, calls, lead, deliverer, owner, time, counts } = setup();
    await fire({ key: '1' }, { key: '2', objectId: 'p' });
    const [one, two] = [next(), next()];
    await one.answer(okay);
    lead(false);
    deliverer.poke(owner);
    await time.advance(0);
    // Its answer comes too late: nobody knows any more whom it was for.
    await two.answer(okay);
    expect(counts().events).toBe(1);
    lead(true);
    deliverer.poke(owner);
    await time.advance(0);
    expect(calls.map(({ key, options }) => [key, options['x-oaas-event-id']])).toEqual([['2', '7-101-1']]);
    await next().answer(okay);
    expect(counts().events).toBe(0);
  });

  it('whose end cannot be stored at first are settled later, and not called again', async () => {
    const { fire, next, calls, refuse, counts, time } = setup();
    await fire({});
    refuse(3);
    await next().answer(okay);
    expect(counts().events).toBe(1);
    await time.advance(1000);
    expect(counts().events).toBe(0);
    expect(calls).toEqual([]);
  });

  it('of a node that stops are left as they are', async () => {
    const { fire, next, calls, deliverer, counts, time } = setup();
    await fire({}, { objectId: 'p' });
    await next().answer(system);
    deliverer.close();
    await next().answer(okay);
    await time.advance(100_000);
    expect(calls).toEqual([]);
    expect(counts()).toMatchObject({ events: 2, letters: 0 });
  });
});
