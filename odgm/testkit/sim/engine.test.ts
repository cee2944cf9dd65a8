import { createLogger } from '@oaas/commons/telemetry';
import { sleep } from '@oaas/commons/time';
import { describe, expect, it } from 'vitest';
import type { Engine } from '../../src/storage/engine.ts';
import { openJournalEngine } from '../../src/storage/journal-engine.ts';
import { chooseSwarm, SimDisk, SimWorld } from './index.ts';

const logger = createLogger({ service: 'sim', level: 'silent' });

/** One node that writes its counters to the real engine, on a disk that forgets what it may at every crash. */
async function play(seed: number): Promise<{ hash: string; crashes: number; acknowledged: number }> {
  const world = new SimWorld({ seed });
  const disk = new SimDisk(world, 'n1');
  disk.faults = chooseSwarm(world.randomOf('swarm')).disk;
  const node = world.node('n1');
  const acknowledged = new Map<string, number>();
  const begun = new Map<string, number>();
  let writes = 0;
  let crashes = 0;

  const check = (engine: Engine): void => {
    for (const [key, least] of acknowledged) {
      const stored = engine.get(Buffer.from(key));
      const value = stored === undefined ? 0 : Number(Buffer.from(stored).toString());
      if (value < least || value > (begun.get(key) ?? 0)) throw new Error(`${key} is ${value}, not ${least} or later`);
      begun.set(key, value);
    }
  };
  node.boot(async (process) => {
    const { timers, random } = process;
    const engine = await openJournalEngine({
      ...{ ...disk.mount(process), timers, logger, turn: () => sleep(timers, 0) },
      ...{ segmentBytes: 16_384, retentionBytes: 65_536, flushBytes: 8192, flushKeys: 32 },
    });
    check(engine);
    for (;;) {
      const key = `k${Math.floor(random.next() * 8)}`;
      const value = (begun.get(key) ?? 0) + 1;
      begun.set(key, value);
      const text = String(value).padStart(Math.floor(random.next() * 300), '0');
      await engine.write([{ type: 'put', key: Buffer.from(key), value: Buffer.from(text) }]);
      acknowledged.set(key, value);
      writes += 1;
    }
  });
  for (let i = 0; i < 6; i += 1) {
    await world.run(world.random.next() * 2000);
    node.crash();
    crashes += 1;
    node.restart();
  }
  const before = writes;
  expect(await world.until(() => writes > before + 5, 60_000), `seed ${seed}`).toBe(true);
  return { hash: world.trace.hash(), crashes, acknowledged: writes };
}

describe('the durable engine on the simulated disk', () => {
  it('loses no acknowledged write to any crash, and writes on', async () => {
    let acknowledged = 0;
    for (let seed = 1; seed <= 15; seed += 1) acknowledged += (await play(seed)).acknowledged;
    expect(acknowledged).toBeGreaterThan(1000);
  });

  it('does the same for the same seed', async () => {
    expect((await play(3)).hash).toBe((await play(3)).hash);
  });
});
