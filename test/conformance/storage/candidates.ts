import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime, tempDir } from '@oaas/commons/testkit';
import { systemTimers } from '@oaas/commons/time/system';
import type { Engine } from '@oaas/odgm/storage';
import { openDurableEngine } from '@oaas/odgm/storage/durable';
import { openJournalEngine } from '@oaas/odgm/storage/journal';
import { createMemoryEngine } from '@oaas/odgm/storage/memory';
import { SimulatedDisk } from '@oaas/odgm/testkit/disk';

export interface Opened {
  readonly engine: Engine;
  readonly release: () => Promise<void>;
}

export interface Candidate {
  readonly name: string;
  open(): Promise<Opened>;
}

const logger = createLogger({ service: 'test', level: 'silent' });
/** Small, so that segments are left behind, changes reach the base, and entries leave the memory. */
const small = { segmentBytes: 64 * 1024, flushBytes: 32 * 1024, flushKeys: 64, cacheBytes: 4096 };

/** Every engine that stands behind the port. */
export const candidates: readonly Candidate[] = [
  {
    name: 'memory',
    open: () => {
      const engine = createMemoryEngine();
      return Promise.resolve({ engine, release: () => engine.close() });
    },
  },
  { name: 'journal over LMDB', open: () => openDurable({}) },
  { name: 'journal over LMDB, small', open: () => openDurable(small) },
  {
    name: 'journal on a simulated disk',
    open: async () => {
      const disk = new SimulatedDisk({ random: seededRandom(1) });
      const { timers } = simulatedTime();
      const turn = () => Promise.resolve();
      const engine = await openJournalEngine({
        files: disk.files(),
        base: disk.base(),
        timers,
        logger,
        turn,
        ...small,
      });
      return { engine, release: () => engine.close() };
    },
  },
];

async function openDurable(sizes: Partial<typeof small>): Promise<Opened> {
  const directory = await tempDir();
  const engine = await openDurableEngine({
    directory: directory.path,
    owner: 'the test',
    timers: systemTimers,
    logger,
    ...sizes,
  });
  return {
    engine,
    release: async () => {
      await engine.close();
      await directory.remove();
    },
  };
}
