import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { SimulatedDisk } from '../../../testkit/disk.ts';
import type { Engine } from '../engine.ts';
import { type JournalEngineOptions, openJournalEngine } from '../journal-engine.ts';
import { frameHeaderLength, sealLength } from './format.ts';

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
const segment = '0000000001.journal';
const cut = 'the end of the journal was cut: its last frame was not complete';
const put = (engine: Engine, key: string): Promise<void> =>
  engine.write([{ type: 'put', key: Buffer.from(key), value: Buffer.from(`value of ${key}`) }]);
const keys = (engine: Engine): string =>
  [...engine.range({ start: Buffer.from('a'), end: Buffer.from('z') })].map(({ key }) => Buffer.from(key)).join('');

async function contentOf(name: string): Promise<Buffer> {
  const file = await disk.files().open(name, 'existing');
  const content = Buffer.alloc(await file.size());
  await file.read(content, 0);
  return content;
}

/** Where the frames of the first segment begin, and where the last one ends. */
async function boundaries(): Promise<number[]> {
  const content = await contentOf(segment);
  const found = [0];
  for (let at = 0; content.readUInt32LE(at) !== 0; found.push(at)) {
    at += frameHeaderLength + content.readUInt32LE(at + 16);
  }
  return found;
}

async function crashAfter(written: readonly string[], isIdle: boolean): Promise<number[]> {
  const engine = await open();
  for (const key of written) await put(engine, key);
  if (isIdle) await time.advance(100);
  disk.crash();
  return boundaries();
}

/** Leaves the first bytes of the segment; what follows is zeros, or nothing. */
async function tear(content: Buffer, length: number, hasZeros: boolean): Promise<void> {
  const file = await disk.files().open(segment, 'new');
  const zeros = Buffer.alloc(hasZeros ? content.length - length : 0);
  await file.writeDurably([content.subarray(0, length), zeros], 0);
}

describe('a journal that becomes idle', () => {
  it('is sealed once, and no timer runs after that but that of the base', async () => {
    const engine = await open();
    await put(engine, 'a');
    await time.advance(49);
    expect(engine.status().frames).toBe(1);
    await time.advance(51);
    expect(engine.status().frames).toBe(2);
    const [, seal = 0, end = 0] = await boundaries();
    expect(end - seal).toBe(sealLength);
    await time.advance(60_000);
    expect(engine.status()).toMatchObject({ frames: 2, checkpoints: 1 });
    expect(time.pending()).toBe(0);
  });

  it('is not sealed between writes that follow one another: each says it of the one before', async () => {
    const engine = await open();
    for (let i = 0; i < 20; i++) {
      await put(engine, 'a');
      await time.advance(40);
    }
    expect(engine.status().frames).toBe(20);
    await time.advance(100);
    expect(engine.status().frames).toBe(21);
    await put(engine, 'a');
    await time.advance(100);
    expect(engine.status().frames).toBe(23);
  });

  it('needs no seal for what the base has, nor for what is only applied', async () => {
    const engine = await open();
    await put(engine, 'a');
    await engine.checkpoint();
    engine.apply([{ type: 'delete', key: Buffer.from('a') }]);
    await time.advance(1000);
    expect(engine.status().frames).toBe(1);
  });

  it('is sealed by the next process when the one before could not', async () => {
    await crashAfter(['a'], false);
    const again = await open();
    await time.advance(100);
    expect(again.status().frames).toBe(1);
    disk.crash();
    const third = await open();
    await time.advance(100);
    expect([third.status().frames, keys(third)]).toEqual([0, 'a']);
  });

  it('stays without a seal for lack of space, and goes on when there is some', async () => {
    const engine = await open({ segmentBytes: 100 });
    await put(engine, 'a');
    await put(engine, 'b');
    disk.capacity = disk.fileBytes;
    await time.advance(1000);
    expect(engine.status().frames).toBe(2);
    disk.capacity = Infinity;
    await put(engine, 'c');
    await time.advance(100);
    expect([engine.status().frames, keys(engine)]).toEqual([4, 'abc']);
  });

  it('is sealed when it is closed and the base is full', async () => {
    const engine = await open();
    await put(engine, 'a');
    disk.capacity = disk.fileBytes;
    await engine.close();
    expect(warnings).toEqual(['the last checkpoint could not be written']);
    const [, seal = 0, end = 0] = await boundaries();
    expect(end - seal).toBe(sealLength);
  });
});

describe('a bit that flipped in the newest frames', () => {
  it('is found by file and offset of the frame, whichever bit it is, once the journal is sealed', async () => {
    const frames = await crashAfter(['a', 'b', 'c'], true);
    expect(frames).toHaveLength(5);
    for (const [i, start] of frames.slice(0, 3).entries()) {
      for (let at = start; at < (frames[i + 1] ?? 0); at++) {
        for (let bit = 0; bit < 8; bit++) {
          disk.flipBit(segment, at, bit);
          await expect(open()).rejects.toMatchObject({
            code: 'StorageCorrupt',
            details: { file: `/simulated/${segment}`, offset: start },
          });
          disk.flipBit(segment, at, bit);
        }
      }
    }
    expect([keys(await open()), warnings]).toEqual(['abc', []]);
  });

  it('costs nothing in the seal itself: all that was acknowledged is there, and that something was cut is said', async () => {
    const frames = await crashAfter(['a', 'b', 'c'], true);
    for (let at = frames[3] ?? 0; at < (frames[4] ?? 0); at++) {
      for (let bit = 0; bit < 8; bit++) {
        warnings = [];
        disk.flipBit(segment, at, bit);
        expect([keys(await open()), warnings]).toEqual(['abc', [cut]]);
        disk.flipBit(segment, at, bit);
      }
    }
  });

  it('is found without a seal when a later frame was begun, though a crash tore that one', async () => {
    const frames = await crashAfter(['a', 'b', 'c'], false);
    const content = await contentOf(segment);
    const [, second = 0, third = 0, end = 0] = frames;
    for (let length = third + frameHeaderLength; length < end; length++) {
      await tear(content, length, true);
      disk.flipBit(segment, second + 30);
      await expect(open()).rejects.toMatchObject({ code: 'StorageCorrupt', details: { offset: second } });
    }
  });

  it('is found when it is the first frame of a segment, and named as that', async () => {
    const engine = await open({ segmentBytes: 100 });
    for (const key of ['a', 'b', 'c']) await put(engine, key);
    await time.advance(100);
    disk.crash();
    const [name = ''] = disk.names().slice(1);
    expect(frameHeaderLength + (await contentOf(name)).readUInt32LE(16)).toBeGreaterThan(sealLength);
    disk.flipBit(name, 30);
    await expect(open({ segmentBytes: 100 })).rejects.toMatchObject({
      code: 'StorageCorrupt',
      details: { file: `/simulated/${name}`, offset: 0 },
    });
  });
});

describe('a torn end', () => {
  it.each([
    ['zeros', true],
    ['nothing', false],
  ])('of any length is cut, and all that was acknowledged is there, when %s follow', async (_, hasZeros) => {
    const frames = await crashAfter(['a', 'b', 'c'], false);
    const content = await contentOf(segment);
    const [third = 0, end = 0] = frames.slice(2);
    for (let length = third; length <= end; length++) {
      await tear(content, length, hasZeros);
      expect(keys(await open())).toBe(length < end ? 'ab' : 'abc');
    }
  });

  it('of any length of a seal costs nothing', async () => {
    const frames = await crashAfter(['a', 'b', 'c'], true);
    const content = await contentOf(segment);
    for (let length = frames[3] ?? 0; length <= (frames[4] ?? 0); length++) {
      await tear(content, length, true);
      expect(keys(await open())).toBe('abc');
    }
  });

  it('behind a seal is cut, and what was sealed is there', async () => {
    const engine = await open();
    await put(engine, 'a');
    await time.advance(100);
    await put(engine, 'b');
    disk.crash();
    const content = await contentOf(segment);
    const [third = 0, end = 0] = (await boundaries()).slice(2);
    for (let length = third; length < end; length++) {
      await tear(content, length, true);
      expect(keys(await open())).toBe('a');
    }
  });
});
