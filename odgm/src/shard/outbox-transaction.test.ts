import { data } from '@oaas/proto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemoryEngine } from '../storage/memory.ts';
import { Outbox } from './outbox.ts';
import { countsKey, decodeCounts, eventRange, letterRange } from './outbox-records.ts';
import { type NewEvent, OutboxTransaction } from './outbox-transaction.ts';

const location = { shard: 7, generation: 1 };
const bounds = { events: 3, eventBytes: 100_000, letters: 2, letterBytes: 100_000 };
const eventOf = (key: string): NewEvent => ({
  ...{ type: data.EventType.EVENT_TYPE_DATA_CREATE, objectId: 'o', key, versions: [0, 1], at: 100, depth: 1 },
  target: Buffer.from('t'),
});

function opened() {
  const engine = createMemoryEngine();
  const outbox = new Outbox({
    ...{ storage: engine, location: () => location, isActive: () => true },
    counts: () => decodeCounts(engine.get(countsKey(location))),
    change: () => Promise.reject(new Error('not asked for')),
  });
  const commit = async (run: (transaction: OutboxTransaction) => void, within = bounds): Promise<void> => {
    const transaction = new OutboxTransaction(engine, location, within);
    run(transaction);
    await engine.write(transaction.operations());
    expect(outbox.counts).toEqual(transaction.counts);
  };
  const keys = () => outbox.events(undefined, 1000).map(({ event }) => event.key);
  const deadKeys = () => [...outbox.letters()].map(({ event, death }) => `${event.key} ${death.reason}`);
  return { engine, outbox, commit, keys, deadKeys };
}

describe('at its bound', () => {
  it('the oldest events become dead letters, and of these the oldest go and are counted', async () => {
    const { outbox, commit, keys, deadKeys } = opened();
    for (let index = 1; index <= 4; index++) {
      await commit((transaction) =>
        transaction.append({ major: index, first: 0, by: 0 }, eventOf(`k${String(index)}`)),
      );
    }
    expect(keys()).toEqual(['k2', 'k3', 'k4']);
    expect(deadKeys()).toEqual(['k1 overflow']);
    await commit((transaction) => {
      for (const key of ['k5', 'k6', 'k7', 'k8']) transaction.append({ major: 5, first: 0, by: 0 }, eventOf(key));
    });
    expect(keys()).toEqual(['k6', 'k7', 'k8']);
    expect(deadKeys()).toEqual(['k4 overflow', 'k5 overflow']);
    expect(outbox.counts).toMatchObject({ events: 3, letters: 2, dropped: 3 });
  });

  it('the newest are left of tens of thousands that come at once', async () => {
    const { outbox, commit } = opened();
    const many = 60_000;
    await commit((transaction) => {
      for (let i = 0; i < many; i++) transaction.append({ major: 1, first: 0, by: 0 }, eventOf('k'));
    });
    expect(outbox.counts).toMatchObject({ events: 3, letters: 2, dropped: many - 5 });
  });

  it('of bytes, the same happens', async () => {
    const { outbox, commit } = opened();
    for (let index = 1; index <= 9; index++) {
      await commit(
        (transaction) =>
          transaction.append({ major: index, first: 0, by: 0 }, { ...eventOf('k'), target: Buffer.alloc(400) }),
        { ...bounds, events: 100, eventBytes: 1000, letterBytes: 1000, letters: 100 },
      );
    }
    expect(outbox.counts).toMatchObject({ events: 2, letters: 2, dropped: 5 });
    expect(outbox.counts.eventBytes).toBeLessThanOrEqual(1000);
  });
});

it('whatever happens, however it is grouped: what is stored is the same, and is what the counts say', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('append' as const), key: fc.constantFrom('a', 'b') }),
    fc.record({
      do: fc.constantFrom('done' as const, 'dead' as const, 'replay' as const, 'purge' as const),
      major: fc.integer({ min: 1, max: 12 }),
      at: fc.integer({ min: 1, max: 3 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.integer({ min: 1, max: 25 }), async (steps, groupSize) => {
      const run = async (size: number) => {
        const { engine, outbox, commit } = opened();
        for (let from = 0; from < steps.length; from += size) {
          await commit((transaction) => {
            for (const [offset, one] of steps.slice(from, from + size).entries()) {
              const place = { major: 1 + from + offset, first: 0, by: 0 };
              if (one.do === 'append') {
                transaction.append(place, eventOf(one.key));
                continue;
              }
              const ref = { major: one.major, minor: 0 };
              const letter = { ...ref, diedAt: one.at };
              const death = { ref, reason: 'failed' as const, attempts: 1, error: '' };
              transaction.change(
                {
                  ...{ type: 'outbox', at: one.at },
                  done: one.do === 'done' ? [ref] : [],
                  dead: one.do === 'dead' ? [death] : [],
                  replay: one.do === 'replay' ? [letter] : [],
                  purge: one.do === 'purge' ? [letter] : [],
                },
                place,
              );
            }
          });
        }
        const stored = [eventRange(location), letterRange(location)].map((range) => [...engine.range(range)]);
        const bytes = stored.map((records) =>
          records.reduce((sum, { key, value }) => sum + key.length + value.length, 0),
        );
        const { events, eventBytes, letters, letterBytes, dropped } = outbox.counts;
        expect([events, eventBytes, letters, letterBytes]).toEqual([
          ...[stored[0]?.length, bytes[0], stored[1]?.length, bytes[1]],
        ]);
        const hex = stored.flat().map(({ key, value }) => Buffer.concat([key, value]).toString('hex'));
        return { hex, dropped };
      };
      expect(await run(groupSize)).toEqual(await run(1));
    }),
    { numRuns: 300 },
  );
});
