import { oaasError } from '@oaas/commons/errors';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import type { Change, ListWatch, Page, Watched } from './ports.ts';
import { Reflector } from './reflector.ts';
import { Store } from './store.ts';

function thing(name: string, version: number): Watched {
  return { metadata: { name, uid: name, resourceVersion: String(version) } };
}

class Expired extends Error {}

/** A server whose lists and watches are played by the test. */
class PlayedServer implements ListWatch<Watched> {
  pages: (Page<Watched> | Error)[] = [];
  readonly watches: { version: string; push: (change: Change<Watched>) => void; end: (error?: Error) => void }[] = [];
  lists = 0;

  list(): Promise<Page<Watched>> {
    this.lists += 1;
    const page = this.pages.shift() ?? oaasError('Unavailable', 'nothing to list');
    return page instanceof Error ? Promise.reject(page) : Promise.resolve(page);
  }

  async *watch({
    resourceVersion,
    signal,
  }: {
    resourceVersion: string;
    signal: AbortSignal;
  }): AsyncGenerator<Change<Watched>> {
    const queue: (Change<Watched> | { error: Error | undefined })[] = [];
    let wake: () => void = () => undefined;
    const add = (entry: (typeof queue)[number]): void => {
      queue.push(entry);
      wake();
    };
    this.watches.push({
      version: resourceVersion,
      push: add,
      end: (error) => {
        add({ error });
      },
    });
    signal.addEventListener('abort', () => {
      add({ error: new Error('aborted') });
    });
    for (;;) {
      const next = queue.shift();
      if (next === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if (!('error' in next)) yield next;
      else if (next.error === undefined) return;
      else throw next.error;
    }
  }

  isExpired(error: unknown): boolean {
    return error instanceof Expired;
  }
}

function setup() {
  const server = new PlayedServer();
  const store = new Store<Watched>();
  const { clock, timers, advance } = simulatedTime();
  const errors: string[] = [];
  const reflector = new Reflector<Watched, Watched>({
    name: 'things',
    source: server,
    store,
    transform: (object) => (object.metadata.name.startsWith('_') ? undefined : object),
    clock,
    timers,
    random: seededRandom(1),
    onError: (error) => errors.push(error.message),
  });
  return { server, store, reflector, advance, errors };
}

const page = (version: number, items: Watched[], continueToken?: string): Page<Watched> => ({
  items,
  resourceVersion: String(version),
  continueToken,
});

describe('Reflector', () => {
  it('takes all pages of a list, then follows the watch from the list’s version', async () => {
    const { server, store, reflector, advance } = setup();
    server.pages = [page(7, [thing('a', 1), thing('_hidden', 2)], 'more'), page(7, [thing('b', 3)])];
    reflector.start();
    await advance(0);
    expect(reflector.hasSynced).toBe(true);
    expect([...store.keys()]).toEqual(['a', 'b']);
    expect(server.watches[0]?.version).toBe('7');
    server.watches[0]?.push({ type: 'ADDED', object: thing('c', 9) });
    server.watches[0]?.push({ type: 'DELETED', object: { ...thing('a', 10) } });
    await advance(0);
    expect([...store.keys()]).toEqual(['b', 'c']);
    await reflector.stop();
  });

  it('goes on from the last bookmark when the server ends the watch, without listing again', async () => {
    const { server, reflector, advance, errors } = setup();
    server.pages = [page(1, [])];
    reflector.start();
    await advance(0);
    server.watches[0]?.push({ type: 'BOOKMARK', resourceVersion: '42' });
    server.watches[0]?.end();
    await advance(200);
    expect(server.watches[1]?.version).toBe('42');
    expect([server.lists, errors]).toEqual([1, []]);
    await reflector.stop();
  });

  it('lists again when its version is too old, and drops what went meanwhile', async () => {
    const { server, store, reflector, advance, errors } = setup();
    server.pages = [page(1, [thing('a', 1)]), page(99, [thing('b', 50)])];
    reflector.start();
    await advance(0);
    server.watches[0]?.end(new Expired());
    await advance(2000);
    expect([...store.keys()]).toEqual(['b']);
    expect(server.watches[1]?.version).toBe('99');
    expect(errors).toEqual([]);
    await reflector.stop();
  });

  it('waits longer and longer while the server is away, and recovers when it is back', async () => {
    const { server, reflector, advance, errors } = setup();
    reflector.start();
    await advance(60_000);
    const tries = server.lists;
    expect(tries).toBeGreaterThan(3);
    expect(tries).toBeLessThan(12);
    expect(errors).toHaveLength(tries);
    expect(reflector.hasSynced).toBe(false);
    server.pages = [page(5, [thing('a', 1)])];
    await advance(31_000);
    expect(reflector.hasSynced).toBe(true);
    server.watches[0]?.push({ type: 'BOOKMARK', resourceVersion: '6' });
    await advance(0);
    expect(reflector.failures).toBe(0);
    await reflector.stop();
  });

  it('lets those who wait for the first list give up', async () => {
    const { reflector } = setup();
    const stop = new AbortController();
    const waiting = reflector.synced(stop.signal);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'Cancelled' });
  });
});
