import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import { Controller } from './controller.ts';
import { keyOf, type Watched } from './ports.ts';
import { Store } from './store.ts';

function thing(name: string, version: number): Watched {
  return { metadata: { name, uid: name, resourceVersion: String(version) } };
}

function setup(depthMax?: number) {
  const time = simulatedTime();
  const done: string[] = [];
  const store = new Store<Watched>();
  const controller = new Controller({
    name: 'things',
    clock: time.clock,
    timers: time.timers,
    random: seededRandom(1),
    concurrency: 1,
    depthMax,
    reconcile: (key) => {
      done.push(key);
      return Promise.resolve({ done: true });
    },
  });
  return { controller, store, done, advance: time.advance };
}

describe('Controller', () => {
  it('does nothing before it is started, and then looks once at each key that has changed', async () => {
    const { controller, store, done, advance } = setup();
    controller.watch(store, ({ object }) => [keyOf(object)]);
    store.observe(thing('a', 1));
    store.observe(thing('a', 2));
    store.observe(thing('b', 3));
    await advance(10);
    expect(done).toEqual([]);
    controller.start();
    await advance(10);
    expect(done).toEqual(['a', 'b']);
    await controller.stop(0);
  });

  it('makes one look of changes that come together', async () => {
    const { controller, store, done, advance } = setup();
    controller.watch(store, () => ['owner'], { delayMs: 50 });
    controller.start();
    for (let version = 1; version <= 10; version += 1) {
      store.observe(thing('child', version));
      await advance(4);
    }
    expect(done).toEqual([]);
    await advance(50);
    expect(done).toEqual(['owner']);
    await controller.stop(0);
  });

  it('comes back to keys that found no place in the queue', async () => {
    const { controller, store, done, advance } = setup(2);
    controller.watch(store, ({ object }) => [keyOf(object)]);
    for (const name of ['a', 'b', 'c']) store.observe(thing(name, 1));
    controller.start();
    await advance(100);
    expect(done).toEqual(['a', 'b']);
    await advance(10_000);
    expect(done).toEqual(['a', 'b', 'c']);
    await controller.stop(0);
  });
});
