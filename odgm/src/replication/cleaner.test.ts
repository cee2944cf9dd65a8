import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { expect, it } from 'vitest';
import { SimulatedDisk } from '../../testkit/disk.ts';
import type { Engine } from '../storage/index.ts';
import { openJournalEngine } from '../storage/journal-engine.ts';
import { Cleaner } from './cleaner.ts';
import { garbageKey, statePrefix } from './keys.ts';

const group = 7;
const generation = 2;
const key = Buffer.concat([statePrefix(group, generation), Buffer.from('k')]);
const mark = garbageKey(group, generation);

it('never gives the number of a deleted state again, since a crash may bring back what the state held', async () => {
  const disk = new SimulatedDisk({ random: seededRandom(1) });
  const time = simulatedTime();
  const open = (): Promise<Engine> =>
    openJournalEngine({
      ...{ files: disk.files(), base: disk.base(), timers: time.timers, flushAgeMs: 1_000_000 },
      logger: createLogger({ service: 'test', level: 'silent' }),
      turn: () => Promise.resolve(),
    });
  const clean = async (engine: Engine): Promise<Cleaner> => {
    const cleaner = new Cleaner(engine, time.timers, (error) => {
      throw error;
    });
    cleaner.add(group, generation);
    await time.advance(100);
    expect(cleaner.waiting).toBe(0);
    expect([engine.get(key), engine.get(mark)]).toEqual([undefined, undefined]);
    return cleaner;
  };
  const engine = await open();
  await engine.write([key, mark].map((one) => ({ type: 'put', key: one, value: Uint8Array.of(1) })));
  expect((await clean(engine)).highest(group)).toBe(generation);
  disk.crash();
  const next = await open();
  expect([next.get(key), next.get(mark)]).toEqual([Buffer.of(1), Buffer.of(1)]);
  expect((await clean(next)).highest(group)).toBe(generation);
  expect((await clean(next)).highest(group + 1)).toBe(0);
});
