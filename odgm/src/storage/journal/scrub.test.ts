import { createLogger } from '@oaas/commons/telemetry';
import { eventually, seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { SimulatedDisk } from '../../../testkit/disk.ts';
import type { Engine, JournalPlace, JournalScrub, LogEntry } from '../engine.ts';
import { type JournalEngineOptions, openJournalEngine } from '../journal-engine.ts';

let disk: SimulatedDisk;
let corruptions: Error[];
beforeEach(() => {
  disk = new SimulatedDisk({ random: seededRandom(1) });
  corruptions = [];
});

const open = (options: Partial<JournalEngineOptions> = {}): Promise<Engine> =>
  openJournalEngine({
    files: disk.files(),
    base: disk.base(),
    timers: simulatedTime().timers,
    logger: createLogger({ service: 'test', level: 'silent' }),
    turn: () => Promise.resolve(),
    segmentBytes: 4096,
    cacheBytes: 0,
    onCorruption: (error) => corruptions.push(error),
    ...options,
  });
const entries = (first: number, count: number): LogEntry[] =>
  Array.from({ length: count }, (_, i) => ({ index: first + i, term: 1, type: 0, data: Buffer.alloc(200, first + i) }));
const segment = (id: number): string => `${String(id).padStart(10, '0')}.journal`;

/** All pieces of a look at the journal, as one. */
function scrubbed(engine: Engine, maxBytes: number): { bytes: number; pieces: number; bad: JournalScrub['bad'] } {
  const bad: JournalScrub['bad'][number][] = [];
  let [bytes, pieces] = [0, 0];
  let from: JournalPlace | undefined;
  do {
    const found = engine.scrubJournal(from, maxBytes);
    bad.push(...found.bad);
    bytes += found.bytes;
    pieces += 1;
    from = found.next;
  } while (from !== undefined);
  return { bytes, pieces, bad };
}

async function twoGroups(engine: Engine): Promise<void> {
  for (let i = 0; i < 10; i++) await engine.append([{ group: 1 + (i % 2), entries: entries(1 + (i >> 1), 1) }]);
}

describe('a look at the journal', () => {
  it('reads all frames, in pieces as large as asked for, and finds nothing wrong with good ones', async () => {
    const engine = await open();
    await twoGroups(engine);
    const whole = scrubbed(engine, Infinity);
    expect(whole).toMatchObject({ pieces: 1, bad: [] });
    const pieces = scrubbed(engine, 1);
    expect(pieces).toMatchObject({ bytes: whole.bytes, bad: [] });
    expect(pieces.pieces).toBe(11);
    expect(whole.bytes).toBeGreaterThan(10 * 200);
  });

  it.each<[string, number]>([
    ['an entry', 120],
    ['the magic of its header', 0],
    ['its length', 17],
    ['its checksum', 21],
  ])('names file, place and groups of a frame with a flipped bit in %s, and goes on behind it', async (_what, at) => {
    const engine = await open();
    await twoGroups(engine);
    const { bytes } = scrubbed(engine, Infinity);
    const frame = bytes / 10;
    disk.flipBit(segment(1), 2 * frame + at);
    disk.flipBit(segment(1), 5 * frame + 100);
    const { bad } = scrubbed(engine, Infinity);
    expect(bad).toEqual([
      { file: `/simulated/${segment(1)}`, offset: 2 * frame, groups: [1] },
      { file: `/simulated/${segment(1)}`, offset: 5 * frame, groups: [2] },
    ]);
  });
});

describe('a damaged segment', () => {
  it('is no longer written to, and gone once the groups have forgotten what it holds: a later start is clean', async () => {
    const engine = await open({
      onRetention: (hints) => {
        for (const { group, index } of hints) engine.compact(group, index);
      },
    });
    await twoGroups(engine);
    await engine.write([{ type: 'put', key: Buffer.from('k'), value: Buffer.from('v') }]);
    disk.flipBit(segment(1), 150);
    expect(scrubbed(engine, Infinity).bad).toHaveLength(1);
    await eventually(async () => {
      await engine.append([{ group: 3, entries: entries(engine.log(3).lastIndex + 1, 1) }]);
      await engine.checkpoint();
      return !disk.names().includes(segment(1));
    });
    expect(scrubbed(engine, Infinity).bad).toEqual([]);
    disk.crash();
    const again = await open();
    expect(again.log(2).truncated).toEqual({ index: 5, term: 1 });
    expect(again.get(Buffer.from('k'))).toEqual(Buffer.from('v'));
  });

  it('is given up as well when a normal read of its entries finds it, and the error names the group', async () => {
    const engine = await open({ retentionBytes: 1 });
    await twoGroups(engine);
    disk.flipBit(segment(1), 150);
    expect(() => engine.log(1).entries(1, 2, Infinity)).toThrow('log entries of group 1');
    expect(corruptions).toMatchObject([
      { details: { file: `/simulated/${segment(1)}`, offset: expect.any(Number) as number, group: 1 } },
    ]);
    await engine.dropGroup(1);
    await eventually(async () => {
      // Small logs are moved; that of the second group is whole.
      await engine.checkpoint();
      return !disk.names().includes(segment(1));
    });
    expect(engine.log(2).entries(1, 6, Infinity)).toHaveLength(5);
  });
});
