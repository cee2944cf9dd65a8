import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { SimulatedDisk } from '../../testkit/disk.ts';
import type { Engine, LogEntry } from './engine.ts';
import { type JournalEngineOptions, openJournalEngine } from './journal-engine.ts';
import type { WriteOperation } from './port.ts';
import type { RetentionHint } from './retention.ts';

let disk: SimulatedDisk;
beforeEach(() => {
  disk = new SimulatedDisk({ random: seededRandom(1) });
});

const open = (options: Partial<JournalEngineOptions> = {}): Promise<Engine> =>
  openJournalEngine({
    files: disk.files(),
    base: disk.base(),
    timers: simulatedTime().timers,
    logger: createLogger({ service: 'test', level: 'silent' }),
    turn: () => Promise.resolve(),
    segmentBytes: 4096,
    ...options,
  });
const bytes = (text: string): Buffer => Buffer.from(text);
const put = (key: string, value: string): WriteOperation => ({ type: 'put', key: bytes(key), value: bytes(value) });
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();
const entries = (first: number, count: number): LogEntry[] =>
  Array.from({ length: count }, (_, i) => ({ index: first + i, term: 1, type: 0, data: Buffer.alloc(10, first + i) }));
const segment = (id: number): string => `${String(id).padStart(10, '0')}.journal`;

/** Frames of about 1,000 bytes. */
async function writeFrames(engine: Engine, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await engine.write([put(`k${String(i)}`, 'x'.repeat(950))]);
}

describe('old segments', () => {
  it('are cleared away and used again once all they hold is in the base', async () => {
    const engine = await open();
    for (let round = 0; round < 10; round++) {
      await writeFrames(engine, 8);
      await engine.checkpoint();
    }
    expect(engine.status().journalSegments).toBeLessThanOrEqual(2);
    expect(disk.names().length).toBeLessThanOrEqual(4);
    expect(disk.names()).not.toContain(segment(1));
    disk.crash();
    const again = await open();
    expect(text(again.get(bytes('k7')))).toHaveLength(950);
  });

  it('stay as long as entries in them are part of a log', async () => {
    const engine = await open();
    await engine.append([{ group: 1, entries: entries(1, 2) }]);
    await writeFrames(engine, 12);
    await engine.checkpoint();
    expect(disk.names()).toContain(segment(1));
    engine.compact(1, 1);
    await engine.checkpoint();
    expect(disk.names()).toContain(segment(1));
    engine.compact(1, 2);
    await engine.checkpoint();
    expect(disk.names()).not.toContain(segment(1));
    disk.crash();
    expect((await open()).log(1).truncated).toEqual({ index: 2, term: 1 });
  });

  it('are freed of small logs that nobody forgets, after their owners were asked to', async () => {
    const hints: RetentionHint[] = [];
    const engine = await open({ retentionBytes: 16_384, onRetention: (given) => hints.push(...given) });
    const hardState = { term: 3, vote: 2, commit: 2 };
    await engine.append([{ group: 7, hardState, reset: { index: 40, term: 1 }, entries: entries(41, 2) }]);
    const log = engine.log(7);
    for (let round = 0; round < 10; round++) {
      await writeFrames(engine, 4);
      await engine.checkpoint();
    }
    expect(hints[0]).toEqual({ group: 7, index: 42 });
    expect(disk.names()).not.toContain(segment(1));
    disk.crash();
    for (const each of [log, (await open()).log(7)]) {
      expect(each.truncated).toEqual({ index: 40, term: 1 });
      expect(each.hardState).toEqual(hardState);
      expect(each.entries(41, 43, Infinity).map(({ data }) => data[0])).toEqual([41, 42]);
    }
  });

  it('do not bring forgotten entries back when they are freed', async () => {
    const engine = await open({
      retentionBytes: 8192,
      // Forgets while the move is on its way.
      onRetention: () =>
        void Promise.resolve()
          .then(() => Promise.resolve())
          .then(() => engine.compact(7, 2)),
    });
    await engine.append([{ group: 7, entries: entries(1, 3) }]);
    await writeFrames(engine, 12);
    await engine.checkpoint();
    await engine.write([put('a', '1')]);
    expect(engine.log(7).firstIndex).toBe(3);
    expect(engine.log(7).entries(3, 4, 100)[0]?.data[0]).toBe(3);
  });
});
