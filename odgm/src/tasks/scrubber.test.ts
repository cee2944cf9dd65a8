import { createLogger } from '@oaas/commons/telemetry';
import { simulatedTime } from '@oaas/commons/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { applyMutation } from '../shard/apply.ts';
import { defaultLimits } from '../shard/model.ts';
import { entryKey, metaKey } from '../shard/records.ts';
import { rootOf, type ScanSource } from '../shard/index.ts';
import { ShardTransaction } from '../shard/transaction.ts';
import type { Engine, JournalPlace, JournalScrub } from '../storage/index.ts';
import { createMemoryEngine } from '../storage/memory.ts';
import { Scrubber } from './scrubber.ts';

const mebibyte = 1024 * 1024;
let time: ReturnType<typeof simulatedTime>;
let rate: number;
let scrubber: Scrubber;
let open: Set<string>;

beforeEach(() => {
  time = simulatedTime();
  rate = mebibyte;
  open = new Set();
  scrubber = new Scrubber({
    ...{ clock: time.clock, timers: time.timers, logger: createLogger({ service: 'test', level: 'silent' }) },
    bytesPerSecond: () => rate,
  });
});

/** A shard with so many objects of about 8 KiB, and its scan at a mark. */
function source(shard: number, id: string, objects: number, engine: Engine = createMemoryEngine()): ScanSource {
  const location = { shard, generation: 1 };
  const none = { counters: { objects: 0, entries: 0, bytes: 0 }, content: { high: 0, low: 0 } };
  const transaction = new ShardTransaction(engine, location, none);
  for (let i = 0; i < objects; i++) {
    const put = new Map([['k', { data: Buffer.alloc(8 * 1024, i), type: 'bytes' as const }]]);
    const change = { type: 'change', objectId: `o${String(i)}`, put, remove: [], replace: false } as const;
    applyMutation(transaction, change, defaultLimits);
  }
  engine.apply(transaction.operations());
  const { counters, content } = transaction.totals;
  const mark = { id, index: 7, algorithm: 1, root: rootOf(content), counters };
  return { shard, mark, location, engine, snapshot: watched(engine, `${String(shard)}/${id}`) };
}

function watched(engine: Engine, name: string): ScanSource['snapshot'] {
  const snapshot = engine.snapshot();
  open.add(name);
  return {
    get: (key) => snapshot.get(key),
    range: (query) => snapshot.range(query),
    close: () => {
      snapshot.close();
      open.delete(name);
    },
  };
}

/** Lets time pass until the scan is over; gives how long that took. */
async function timeOf(shard: number, id: string, limitMs = 120_000): Promise<number> {
  const from = time.clock.monotonic();
  while (scrubber.report(shard, id)?.isDone !== true) {
    if (time.clock.monotonic() - from > limitMs) throw new Error('the scan does not end');
    await time.advance(50);
  }
  return time.clock.monotonic() - from;
}

describe('a scan of what a replica has stored', () => {
  it('reads at the given rate, and at a new one from the next piece on', async () => {
    scrubber.scan(source(1, '5.1.a', 512));
    await time.advance(1000);
    const slow = scrubber.report(1, '5.1.a')?.readBytes ?? 0;
    expect(slow).toBeGreaterThan(0.5 * mebibyte);
    expect(slow).toBeLessThan(1.5 * mebibyte);
    rate = 8 * mebibyte;
    const ms = await timeOf(1, '5.1.a');
    expect(ms).toBeGreaterThan(200);
    expect(ms).toBeLessThan(1000);
    expect(scrubber.report(1, '5.1.a')).toMatchObject({ isDone: true, bad: [] });
    expect(scrubber.report(1, '5.1.a')?.damage).toBeUndefined();
  });

  it('shares the rate with the other scans of the node', async () => {
    for (const shard of [1, 2, 3, 4]) scrubber.scan(source(shard, '5.x', 128));
    const all = await Promise.all([1, 2, 3, 4].map((shard) => timeOf(shard, '5.x')));
    expect(Math.max(...all)).toBeGreaterThan(3500);
    expect(Math.max(...all)).toBeLessThan(6000);
  });

  it('says what is wrong: values that cannot be read, or a content that is not what was written', async () => {
    const engine = createMemoryEngine();
    const good = source(1, '5.a', 4, engine);
    engine.apply([{ type: 'delete', key: metaKey(good.location, 'o1') }]);
    scrubber.scan({ ...good, mark: { ...good.mark, id: '5.b' }, snapshot: watched(engine, 'b') });
    engine.apply([{ type: 'put', key: entryKey(good.location, 'o2', 'k'), value: Buffer.of(0) }]);
    scrubber.scan({ ...good, mark: { ...good.mark, id: '5.c' }, snapshot: watched(engine, 'c') });
    await timeOf(1, '5.b');
    await timeOf(1, '5.c');
    expect(scrubber.report(1, '5.b')?.damage).toMatch(/what is stored has the root \w+, what was written \w+/);
    expect(scrubber.report(1, '5.c')).toMatchObject({
      damage: '1 stored values cannot be read (o2/k)',
      bad: ['o2/k'],
    });
  });

  it('looks at the journal of the node once for all shards of a round, and tells each what is its own', async () => {
    const asked: (JournalPlace | undefined)[] = [];
    const engine: Engine = Object.assign(createMemoryEngine(), {
      isDurable: true,
      scrubJournal: (from: JournalPlace | undefined): JournalScrub => {
        asked.push(from);
        if (from === undefined) return { bytes: 1000, bad: [], next: { segment: 1, position: 1000 } };
        const bad = [
          { file: '/j/1', offset: 5, groups: [2, 9] },
          { file: '/j/2', offset: 6, groups: [] },
        ];
        return { bytes: 1000, bad };
      },
    });
    for (const shard of [1, 2]) scrubber.scan(source(shard, `5.${String(shard)}`, 2, engine));
    await timeOf(1, '5.1');
    await timeOf(2, '5.2');
    expect(asked).toEqual([undefined, { segment: 1, position: 1000 }]);
    expect(scrubber.report(1, '5.1')).not.toHaveProperty('damage');
    expect(scrubber.report(1, '5.1')?.note).toBe('the journal is damaged in /j/2 at byte 6');
    expect(scrubber.report(2, '5.2')?.damage).toBe('the log is damaged in /j/1 at byte 5');
    scrubber.scan(source(1, '6.1', 2, engine));
    await timeOf(1, '6.1');
    expect(asked).toHaveLength(4);
  });

  it('lists the objects of the buckets that are asked for', async () => {
    scrubber.scan(source(1, '5.a', 20));
    await timeOf(1, '5.a');
    const all = Array.from({ length: 1024 }, (_, i) => i);
    expect(scrubber.list(1, '5.a', all)).toEqual({ isDone: false, hasMore: false, objects: [] });
    await time.advance(5000);
    const list = scrubber.list(1, '5.a', all);
    expect(list).toMatchObject({ isDone: true, hasMore: false });
    expect(list?.objects.map(([id]) => id)).toEqual(Array.from({ length: 20 }, (_, i) => `o${String(i)}`).sort());
    expect(scrubber.list(1, 'other', all)).toBeUndefined();
  });

  it('holds its snapshot until it is let go of, or nobody has asked for half a minute', async () => {
    scrubber.scan(source(1, '5.a', 2));
    scrubber.scan(source(2, '5.b', 2));
    await timeOf(1, '5.a');
    scrubber.release(1, '5.a');
    expect([...open]).toEqual(['2/5.b']);
    expect(scrubber.report(1, '5.a')).toBeUndefined();
    for (let i = 0; i < 5; i++) {
      await time.advance(20_000);
      expect(scrubber.report(2, '5.b')).toBeDefined();
    }
    await time.advance(40_000);
    expect(open.size).toBe(0);
  });

  it('is refused when the node has eight of them, and says so', async () => {
    for (let shard = 1; shard <= 9; shard++) scrubber.scan(source(shard, '5.a', 1));
    expect(open.size).toBe(8);
    expect(scrubber.report(9, '5.a')).toMatchObject({ isDone: true, refused: expect.any(String) as string });
    scrubber.close();
    expect(open.size).toBe(0);
    await time.advance(100);
  });
});
