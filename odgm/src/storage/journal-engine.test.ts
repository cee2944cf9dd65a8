import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { SimulatedDisk } from '../../testkit/disk.ts';
import type { Engine, LogEntry } from './engine.ts';
import { type JournalEngineOptions, openJournalEngine } from './journal-engine.ts';
import type { WriteOperation } from './port.ts';

let disk: SimulatedDisk;
let time: ReturnType<typeof simulatedTime>;
let warnings: string[];
beforeEach(() => {
  disk = new SimulatedDisk({ random: seededRandom(1) });
  time = simulatedTime();
  warnings = [];
});

const silent = createLogger({ service: 'test', level: 'silent' });
const logger = Object.assign(Object.create(silent) as typeof silent, {
  warn: (_: object, message: string) => warnings.push(message),
});

/** Segments of 4 KiB, and a base that hears of changes when told to. */
const open = (options: Partial<JournalEngineOptions> = {}): Promise<Engine> =>
  openJournalEngine({
    files: disk.files(),
    base: disk.base(),
    timers: time.timers,
    logger,
    turn: () => Promise.resolve(),
    segmentBytes: 4096,
    ...options,
  });

const bytes = (text: string): Buffer => Buffer.from(text);
const put = (key: string, value: string): WriteOperation => ({ type: 'put', key: bytes(key), value: bytes(value) });
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();
const entries = (first: number, count: number, size = 10): LogEntry[] =>
  Array.from({ length: count }, (_, i) => ({
    index: first + i,
    term: 1,
    type: 0,
    data: Buffer.alloc(size, first + i),
  }));
const segment = (id: number): string => `${String(id).padStart(10, '0')}.journal`;

/** Frames of about 1,000 bytes. */
async function writeFrames(engine: Engine, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await engine.write([put(`k${String(i)}`, 'x'.repeat(950))]);
}

describe('the writer', () => {
  it('flushes once for everything that arrives while a flush is under way', async () => {
    const engine = await open();
    const before = disk.flushes;
    const first = engine.write([put('a', '1')]);
    const others = Array.from({ length: 50 }, (_, i) =>
      i % 2 === 0 ? engine.write([put(`b${String(i)}`, '1')]) : engine.append([{ group: i, entries: entries(1, 1) }]),
    );
    await Promise.all([first, ...others]);
    expect(engine.status().frames).toBe(1);
    const more = engine.write([put('c', '1')]);
    await Promise.resolve();
    await Promise.resolve();
    const late = [engine.write([put('d', '1')]), engine.append([{ group: 1, entries: entries(2, 1) }])];
    await Promise.all([more, ...late]);
    expect(engine.status().frames).toBe(3);
    expect(disk.flushes - before).toBe(3);
  });

  it('shows nothing before it is on disk', async () => {
    const engine = await open();
    const written = engine.write([put('a', '1')]);
    const appended = engine.append([{ group: 1, entries: entries(1, 1) }]);
    expect(engine.get(bytes('a'))).toBeUndefined();
    expect(engine.log(1).lastIndex).toBe(0);
    await Promise.all([written, appended]);
    expect(text(engine.get(bytes('a')))).toBe('1');
    expect(engine.log(1).lastIndex).toBe(1);
  });

  it('refuses what would have to wait behind more than its bound', async () => {
    const engine = await open({ maxWaitingBytes: 10_000 });
    const calls = Array.from({ length: 20 }, () => engine.write([put('a', 'x'.repeat(1000))]));
    const outcomes = await Promise.allSettled(calls);
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(5);
    expect(refused[0]).toMatchObject({ reason: { code: 'ResourceExhausted' } });
    await engine.write([put('a', 'again')]);
    expect(text(engine.get(bytes('a')))).toBe('again');
  });
});

describe('after a crash', () => {
  it('a frame that was never flushed is not there, and its place is used again', async () => {
    const engine = await open();
    await engine.write([put('a', '1')]);
    let isAcknowledged = false;
    void engine.write([put('a', '2'.repeat(3000)), put('b', '2')]).then(() => (isAcknowledged = true));
    for (let i = 0; i < 5; i++) await Promise.resolve();
    disk.crash();
    const again = await open();
    expect(isAcknowledged).toBe(false);
    const a = text(again.get(bytes('a')));
    expect([a, text(again.get(bytes('b')))]).toEqual(a === '1' ? ['1', undefined] : ['2'.repeat(3000), '2']);
    await again.write([put('c', '3')]);
    disk.crash();
    const third = await open();
    expect(text(third.get(bytes('c')))).toBe('3');
    expect(text(third.get(bytes('a')))).toBe(a);
  });

  it('a group that was dropped stays dropped, whatever the base still says of it', async () => {
    const engine = await open();
    await engine.append([{ group: 1, entries: entries(1, 3) }]);
    await engine.checkpoint();
    await engine.dropGroup(1);
    disk.crash();
    const second = await open();
    expect(second.groups()).toEqual([]);
    await second.write([put('a', '1')]);
    await second.checkpoint();
    disk.crash();
    const third = await open();
    expect(third.groups()).toEqual([]);
    expect(third.log(1).lastIndex).toBe(0);
  });

  it('what was applied is there as of a checkpoint, with all of it or none', async () => {
    const engine = await open();
    await engine.append([{ group: 1, entries: entries(1, 9) }]);
    engine.apply([put('applied', '5'), put('state', 'five')]);
    await engine.checkpoint();
    engine.apply([put('applied', '9'), put('state', 'nine')]);
    disk.crash();
    const again = await open();
    expect([text(again.get(bytes('applied'))), text(again.get(bytes('state')))]).toEqual(['5', 'five']);
    expect(again.log(1).lastIndex).toBe(9);
  });

  it('entries that were forgotten without a checkpoint may be there again, those with one are not', async () => {
    const engine = await open();
    await engine.append([{ group: 1, entries: entries(1, 9) }]);
    engine.compact(1, 3);
    await engine.checkpoint();
    engine.compact(1, 6);
    disk.crash();
    const again = await open();
    expect(again.log(1).truncated).toEqual({ index: 3, term: 1 });
    expect(again.log(1).entries(4, 10, Infinity)).toHaveLength(6);
  });
});

describe('a damaged journal', () => {
  it('is refused by file and offset when good frames follow the bad one', async () => {
    const engine = await open();
    await writeFrames(engine, 3);
    disk.crash();
    const [before, ...rest] = await frameOffsets(3);
    expect(before).toBe(0);
    disk.flipBit(segment(1), (rest[0] ?? 0) + 500);
    await expect(open()).rejects.toMatchObject({
      code: 'StorageCorrupt',
      message: expect.stringContaining(`/simulated/${segment(1)} cannot be used at byte ${String(rest[0])}`) as string,
      details: { file: `/simulated/${segment(1)}`, offset: rest[0] },
    });
  });

  it.each([
    ['magic', 0],
    ['segment id', 4],
    ['sequence', 9],
    ['length', 16],
    ['length, which becomes a large one', 19],
    ['checksum', 20],
  ])('is found out also when it is the %s of a frame that was hit', async (_, offset) => {
    const engine = await open();
    await writeFrames(engine, 3);
    disk.crash();
    const [, second] = await frameOffsets(3);
    disk.flipBit(segment(1), (second ?? 0) + offset);
    await expect(open()).rejects.toMatchObject({ code: 'StorageCorrupt', details: { offset: second } });
  });

  it('is found out when the last frame of a segment is bad and the next segment goes on', async () => {
    const engine = await open();
    await writeFrames(engine, 8);
    disk.crash();
    expect(disk.names()).toContain(segment(2));
    const offsets = await frameOffsets(4);
    const last = offsets.at(-1) ?? 0;
    disk.flipBit(segment(1), last + 30);
    await expect(open()).rejects.toMatchObject({
      code: 'StorageCorrupt',
      details: { file: `/simulated/${segment(1)}`, offset: last },
    });
  });

  it.each([
    ['magic', 1],
    ['segment id', 4],
    ['sequence', 9],
    ['content', 100],
  ])('has its last frame cut off when nothing follows, as a crash leaves it, wherever it is bad: %s', async (_, at) => {
    const engine = await open();
    await writeFrames(engine, 3);
    disk.crash();
    const offsets = await frameOffsets(3);
    disk.flipBit(segment(1), (offsets[2] ?? 0) + at);
    const again = await open();
    expect(warnings).toEqual(['the end of the journal was cut: its last frame was not complete']);
    expect(text(again.get(bytes('k1')))).toHaveLength(950);
    expect(again.get(bytes('k2'))).toBeUndefined();
    await again.write([put('k2', 'again')]);
    disk.crash();
    expect(text((await open()).get(bytes('k2')))).toBe('again');
  });

  it('is refused when it ends before what the base knows of', async () => {
    const engine = await open();
    await writeFrames(engine, 3);
    await engine.close();
    const offsets = await frameOffsets(3);
    disk.flipBit(segment(1), (offsets[2] ?? 0) + 100);
    await expect(open()).rejects.toMatchObject({ code: 'StorageCorrupt', details: { offset: offsets[2] } });
  });

  it.each([1, 2, 3])('is refused when segment %d is missing, by its name', async (id) => {
    const engine = await open();
    await engine.append([{ group: 1, entries: entries(1, 1) }]);
    await writeFrames(engine, 9);
    await engine.checkpoint();
    disk.crash();
    disk.removeFile(segment(id));
    // The entry in the first segment keeps all of them.
    await expect(open()).rejects.toMatchObject({
      code: 'StorageCorrupt',
      details: { file: `/simulated/${segment(id)}` },
    });
  });

  it('is refused when all of it is gone', async () => {
    const engine = await open();
    await writeFrames(engine, 2);
    await engine.close();
    for (const name of disk.names()) disk.removeFile(name);
    await expect(open()).rejects.toMatchObject({ code: 'StorageCorrupt' });
  });

  it('fails a read of older log entries, says where, and nothing else', async () => {
    const told: unknown[] = [];
    const engine = await open({ cacheBytes: 0, onCorruption: (error) => told.push(error) });
    await engine.append([{ group: 1, entries: entries(1, 2, 100) }]);
    await engine.append([{ group: 1, entries: entries(3, 2, 100) }]);
    expect(
      engine
        .log(1)
        .entries(1, 5, Infinity)
        .map(({ data }) => data[0]),
    ).toEqual([1, 2, 3, 4]);
    disk.flipBit(segment(1), 100);
    expect(() => engine.log(1).entries(1, 5, Infinity)).toThrow(`/simulated/${segment(1)} cannot be used at byte 24`);
    expect(told).toMatchObject([{ code: 'StorageCorrupt' }]);
    expect(engine.log(1).entries(3, 5, Infinity)).toHaveLength(2);
    await engine.append([{ group: 1, entries: entries(5, 1) }]);
  });
});

describe('a damaged value', () => {
  it('fails its own read with the key, tells the owner, and is found by scrubbing', async () => {
    const told: unknown[] = [];
    const engine = await open({ onCorruption: (error) => told.push(error) });
    await engine.write([put('a', 'one'), put('b', 'two'), put('c', 'three')]);
    await engine.checkpoint();
    expect(disk.flipBaseBit(bytes('b'), 1)).toBe(true);
    const damage = { code: 'StorageCorrupt', details: { key: bytes('b').toString('hex') } };
    expect(() => engine.get(bytes('b'))).toThrow(expect.objectContaining(damage));
    expect(() => [...engine.range({ start: bytes('a'), end: bytes('z') })]).toThrow(expect.objectContaining(damage));
    expect(told).toMatchObject([damage, damage]);
    expect([text(engine.get(bytes('a'))), text(engine.get(bytes('c')))]).toEqual(['one', 'three']);
    const { bad, entries: seen } = engine.scrub({ start: bytes('a'), end: bytes('z') });
    expect([bad.map(text), seen]).toEqual([['b'], 3]);
    await engine.write([put('b', 'repaired')]);
    await engine.checkpoint();
    expect(engine.scrub({ start: bytes('a'), end: bytes('z') }).bad).toEqual([]);
  });

  it('is found at any bit of the value or of its checksum', async () => {
    const engine = await open();
    const value = 'value';
    for (let offset = 0; offset < value.length + 4; offset++) {
      await engine.write([put('a', value)]);
      await engine.checkpoint();
      disk.flipBaseBit(bytes('a'), offset);
      expect(() => engine.get(bytes('a'))).toThrow('is damaged');
    }
  });
});

describe('a full disk', () => {
  it('refuses what does not fit as a whole, and goes on when there is room', async () => {
    const engine = await open();
    await engine.write([put('a', '1')]);
    disk.capacity = disk.fileBytes + 100;
    const outcomes = await Promise.allSettled([
      engine.write([put('a', '2'), put('b', 'x'.repeat(5000))]),
      engine.append([{ group: 1, entries: entries(1, 3) }]),
      engine.append([{ group: 1, entries: entries(4, 3) }]),
    ]);
    const refused = { status: 'rejected', reason: { code: 'StorageFull' } };
    expect(outcomes).toMatchObject([refused, refused, refused]);
    expect(text(engine.get(bytes('a')))).toBe('1');
    expect(engine.get(bytes('b'))).toBeUndefined();
    expect(engine.log(1).lastIndex).toBe(0);
    disk.capacity = Infinity;
    await engine.append([{ group: 1, entries: entries(1, 1) }]);
    await engine.write([put('b', 'small')]);
    disk.crash();
    const again = await open();
    expect([text(again.get(bytes('a'))), text(again.get(bytes('b')))]).toEqual(['1', 'small']);
    expect(again.log(1).lastIndex).toBe(1);
  });

  it('refuses what is called before a caller could hear of a refusal, so that nothing gets out of order', async () => {
    const engine = await open();
    disk.capacity = disk.fileBytes;
    const order: string[] = [];
    const append = (index: number): Promise<void> =>
      engine.append([{ group: 1, entries: entries(index, 1, 5000) }]).catch((error: unknown) => {
        order.push(`${String(index)} ${(error as { code: string }).code}`);
      });
    // Calls without end, whatever happens to the ones before.
    const calls: Promise<void>[] = [];
    for (let index = 1; order.length === 0; index++) {
      calls.push(append(index));
      await Promise.resolve();
    }
    await Promise.all(calls);
    expect(order).toEqual(calls.map((_, i) => `${String(i + 1)} StorageFull`));
    disk.capacity = Infinity;
    for (let index = 1; index <= calls.length; index++) await append(index);
    expect(engine.log(1).lastIndex).toBe(calls.length);
  });

  it('lets writes wait for the base, then refuses them while it is full, then takes them again', async () => {
    const engine = await open({ flushBytes: 2000, memtableBytes: 8000, segmentBytes: 1024 * 1024 });
    disk.capacity = disk.fileBytes;
    let written = 0;
    let refusal: unknown;
    while (refusal === undefined && written < 100) {
      await engine.write([put(`k${String(written)}`, 'x'.repeat(1000))]).then(
        () => (written += 1),
        (error: unknown) => (refusal = error),
      );
    }
    expect(refusal).toMatchObject({ code: 'StorageFull' });
    expect(written).toBeGreaterThan(4);
    expect(engine.status().memtableBytes).toBeLessThan(16_000);
    expect(text(engine.get(bytes('k0')))).toHaveLength(1000);
    disk.capacity = Infinity;
    await engine.write([put('last', '1')]);
    await engine.checkpoint();
    expect(engine.usage().entries).toBe(written + 1);
    expect(engine.status().memtableBytes).toBe(0);
  });

  it('tries the base again after a while by itself', async () => {
    const engine = await open({ flushAgeMs: 100 });
    disk.capacity = 0;
    engine.apply([put('a', '1')]);
    await time.advance(150);
    expect(engine.usage().entries).toBe(0);
    disk.capacity = Infinity;
    await time.advance(1100);
    expect(engine.usage().entries).toBe(1);
  });
});

describe('a flush that fails', () => {
  it('ends the engine for good: nothing is written any more, and why is said', async () => {
    const failures: unknown[] = [];
    const engine = await open({ onFailure: (error) => failures.push(error) });
    await engine.write([put('a', '1')]);
    disk.failsFlushes = true;
    const failed = {
      code: 'Unavailable',
      remedy: expect.stringContaining('restart the node') as string,
      details: { reason: 'EIO: simulated' },
    };
    const calls = [engine.write([put('a', '2')]), engine.append([{ group: 1, entries: entries(1, 1) }])];
    for (const outcome of await Promise.allSettled(calls)) expect(outcome).toMatchObject({ reason: failed });
    disk.failsFlushes = false;
    await expect(engine.write([put('a', '3')])).rejects.toMatchObject(failed);
    await expect(engine.dropGroup(1)).rejects.toMatchObject(failed);
    await expect(engine.checkpoint()).rejects.toMatchObject(failed);
    expect(() => {
      engine.apply([put('a', '3')]);
    }).toThrow('takes no more writes');
    expect(failures).toMatchObject([failed]);
    expect(text(engine.get(bytes('a')))).toBe('1');
    await engine.close();
    const again = await open();
    expect(['1', '2']).toContain(text(again.get(bytes('a'))));
  });

  it('leaves nothing behind that a restart would serve and a loss of power then take away', async () => {
    const engine = await open();
    await engine.write([put('a', '1')]);
    disk.failsFlushes = true;
    await expect(engine.write([put('a', '2')])).rejects.toMatchObject({ code: 'Unavailable' });
    disk.failsFlushes = false;
    await engine.close();
    // The system still shows what it could not write, as if it had.
    const again = await open();
    const served = text(again.get(bytes('a')));
    expect(served).toBe('2');
    await again.write([put('b', '1')]);
    disk.crash();
    const last = await open();
    expect([text(last.get(bytes('a'))), text(last.get(bytes('b')))]).toEqual([served, '1']);
  });

  it('ends the engine also when it is that of the base', async () => {
    const engine = await open();
    engine.apply([put('a', '1')]);
    disk.failsFlushes = true;
    await expect(engine.checkpoint()).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(engine.write([put('a', '2')])).rejects.toMatchObject({ code: 'Unavailable' });
    await engine.close();
  });
});

describe('memory', () => {
  it('keeps recent entries within its bound and reads the others from the journal', async () => {
    const engine = await open({ cacheBytes: 1000, segmentBytes: 64 * 1024 });
    for (let i = 1; i <= 100; i++) await engine.append([{ group: i % 5, entries: entries(Math.ceil(i / 5), 1, 100) }]);
    expect(engine.status().cachedLogBytes).toBeLessThanOrEqual(1000);
    for (const group of [0, 1, 2, 3, 4]) {
      const found = engine.log(group).entries(1, 21, Infinity);
      expect(found.map(({ data }) => [data.length, data[0]])).toEqual(found.map((_, i) => [100, i + 1]));
    }
    for (const group of [0, 1, 2, 3, 4]) engine.compact(group, 20);
    expect(engine.status().cachedLogBytes).toBe(0);
  });

  it('hands changes to the base at their age, and leaves the base alone when there are none', async () => {
    const engine = await open({ flushAgeMs: 1000 });
    await time.advance(5000);
    const before = engine.status().checkpoints;
    engine.apply([put('a', '1')]);
    await time.advance(999);
    expect(engine.status().checkpoints).toBe(before);
    await time.advance(1);
    expect(engine.status().checkpoints).toBe(before + 1);
    await time.advance(60_000);
    expect(engine.status().checkpoints).toBe(before + 1);
    expect(time.pending()).toBe(0);
  });

  it('frees the journal of a key that is written again and again, long before its age', async () => {
    const engine = await open({ flushAgeMs: 1_000_000, segmentBytes: 64 * 1024, retentionBytes: 128 * 1024 });
    let most = 0;
    for (let i = 0; i < 200; i += 1) {
      await engine.write([put('a', String(i).padEnd(10_000))]);
      most = Math.max(most, engine.status().journalSegments);
    }
    expect(engine.status().checkpoints).toBeGreaterThan(5);
    expect(most).toBeLessThan(8);
    expect(text(engine.get(bytes('a')))).toBe('199'.padEnd(10_000));
  });

  it('takes files that are no longer needed for the next segments, and makes no more', async () => {
    const real = disk.files();
    const made: string[] = [];
    const files = {
      ...real,
      open: (...call: Parameters<typeof real.open>) => {
        if (call[1] === 'new') made.push(call[0]);
        return real.open(...call);
      },
    };
    const sizes = { segmentBytes: 64 * 1024, retentionBytes: 128 * 1024 };
    const engine = await open({ ...sizes, files, flushAgeMs: 1_000_000 });
    const overwrite = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i += 1) await engine.write([put('a', String(i).padEnd(10_000))]);
    };
    await overwrite(60);
    expect(made.length).toBeGreaterThan(2);
    const before = made.length;
    await overwrite(200);
    expect(made.length).toBe(before);
    await engine.close();
    const again = await open({ ...sizes, files });
    expect(text(again.get(bytes('a')))).toBe('199'.padEnd(10_000));
  });
});

/** Where the first frames of the first segment begin. */
async function frameOffsets(count: number): Promise<number[]> {
  const file = await disk.files().open(segment(1), 'existing');
  const content = Buffer.alloc(await file.size());
  await file.read(content, 0);
  const offsets = [0];
  while (offsets.length < count) {
    const last = offsets.at(-1) ?? 0;
    offsets.push(last + 24 + content.readUInt32LE(last + 16));
  }
  return offsets;
}
