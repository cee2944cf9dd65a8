import { sleep } from '@oaas/commons/time';
import { describe, expect, it } from 'vitest';
import type { SimProcess } from './node.ts';
import { SimFailure, SimWorld } from './world.ts';

/** A process with timers, sleeps and chance, whose doings go to the trace. */
async function busy(world: SimWorld, process: SimProcess): Promise<void> {
  const { clock, timers, random, node } = process;
  timers.every(7, () => world.trace.add(`${node.id} tick ${clock.now()}`));
  for (let i = 0; i < 50; i += 1) {
    await sleep(timers, random.next() * 20);
    await Promise.all([sleep(timers, 1), sleep(timers, 2)]);
    world.trace.add(`${node.id} ${i} ${random.next()}`);
  }
}

async function story(seed: number): Promise<string> {
  const world = new SimWorld({ seed });
  for (const id of ['a', 'b', 'c']) world.node(id).boot((process) => busy(world, process));
  world.after(100, () => world.node('a').crash());
  world.after(150, () => world.node('a').restart());
  world.after(120, () => world.node('b').pause());
  world.after(300, () => world.node('b').resume());
  world.after(200, () => world.node('c').jumpClock(-5000));
  world.after(210, () => world.node('c').driftClock(200));
  await world.run(2000);
  expect(world.trace.lines).toBeGreaterThan(500);
  return world.trace.hash();
}

describe('a simulated world', () => {
  it('plays the same story for the same seed, and another one for another', async () => {
    const hashes = await Promise.all([story(1), story(1), story(2)]);
    expect(hashes[1]).toBe(hashes[0]);
    expect(hashes[2]).not.toBe(hashes[0]);
  });

  it('lets all promises settle between two events, however long their chain', async () => {
    const world = new SimWorld({ seed: 1 });
    const order: string[] = [];
    world.after(1, () => {
      void (async () => {
        for (let i = 0; i < 1000; i += 1) await Promise.resolve();
        await new Promise<void>((resolve) => process.nextTick(resolve));
        order.push('settled');
      })();
    });
    world.after(1, () => order.push('next'));
    await world.run(2);
    expect(order).toEqual(['settled', 'next']);
  });

  it('ends a run in which time hardly goes on, since what happens calls forth more of it', async () => {
    const world = new SimWorld({ seed: 1 });
    const again = (): void => {
      world.after(0.001, again);
    };
    again();
    await expect(world.run(2000)).rejects.toThrow('no progress within 300000 steps of one second');
    const calm = new SimWorld({ seed: 1 });
    const seldom = (): void => {
      calm.after(0.01, seldom);
    };
    seldom();
    await calm.run(4000);
  });

  it('keeps back what is due on a paused node, and then runs it in order', async () => {
    const world = new SimWorld({ seed: 1 });
    const node = world.node('a');
    const seen: [number, number][] = [];
    node.boot(({ timers, clock }) => {
      for (const ms of [30, 10, 20, 200]) timers.after(ms, () => seen.push([ms, clock.monotonic()]));
    });
    await world.run(5);
    node.pause();
    await world.run(95);
    expect(seen).toEqual([]);
    node.resume();
    await world.run(200);
    expect(seen).toEqual([
      [10, 100],
      [20, 100],
      [30, 100],
      [200, 200],
    ]);
  });

  it('forgets what a crashed process had planned, and tells who asked to be told', async () => {
    const world = new SimWorld({ seed: 1 });
    const node = world.node('a');
    const seen: string[] = [];
    node.boot((process) => {
      const { timers, incarnation } = process;
      seen.push(`boot ${incarnation}`);
      timers.every(10, () => seen.push(`tick ${incarnation}`));
      process.onCrash(() => seen.push(`crash ${incarnation}`));
    });
    await world.run(25);
    node.crash();
    node.crash();
    await world.run(100);
    node.restart();
    await world.run(15);
    expect(seen).toEqual(['boot 1', 'tick 1', 'tick 1', 'crash 1', 'boot 2', 'tick 2']);
  });

  it('gives each node a clock that drifts and jumps, and timers that follow the drift', async () => {
    const world = new SimWorld({ seed: 1, startMs: 1_000_000 });
    const fast = world.node('fast');
    fast.driftClock(100_000);
    let firedAt = 0;
    const { clock } = fast.boot(({ timers }) => void timers.after(1100, () => (firedAt = world.now)));
    await world.run(2000);
    expect(firedAt).toBeCloseTo(1000);
    expect(clock.monotonic()).toBeCloseTo(2200);
    fast.jumpClock(-10_000);
    expect(clock.monotonic()).toBeCloseTo(2200);
    expect(clock.now()).toBe(1_000_000 + 2200 - 10_000);
    fast.driftClock(0);
    await world.run(100);
    expect(clock.monotonic()).toBeCloseTo(2300);
  });

  it('ends with its seed, its time and its last lines when a check, an event or a program fails', async () => {
    const failing: ((world: SimWorld) => void)[] = [
      (world) => {
        world.after(10, () => undefined);
        world.always(() => {
          if (world.now >= 10) throw new Error('two leaders');
        });
      },
      (world) =>
        void world.after(10, () => {
          throw new Error('two leaders');
        }),
      (world) =>
        void world.node('a').boot(async ({ timers }) => {
          await sleep(timers, 10);
          throw new Error('two leaders');
        }),
    ];
    for (const arrange of failing) {
      const world = new SimWorld({ seed: 77 });
      world.trace.add('before');
      arrange(world);
      const failure = await world.run(100).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(SimFailure);
      expect(failure).toMatchObject({ message: 'seed 77, 10.000 ms: two leaders', seed: 77 });
      expect((failure as SimFailure).tail[0]).toBe('before');
    }
  });

  it('waits for a condition no longer than it is told', async () => {
    const world = new SimWorld({ seed: 1 });
    let count = 0;
    world.node('a').boot(({ timers }) => void timers.every(10, () => (count += 1)));
    expect(await world.until(() => count === 3, 1000)).toBe(true);
    expect(world.now).toBe(30);
    expect(await world.until(() => count === 1000, 1000)).toBe(false);
  });
});
