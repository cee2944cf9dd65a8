import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

/** Work that ends when the test says so. */
function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('turns', () => {
  it('run work of one key in the order of the calls, also after work that failed', async () => {
    const turns = new Turns();
    const order: number[] = [];
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map((n) =>
        turns.run('k', async () => {
          await settled();
          order.push(n);
          if (n === 1) throw new Error('failed');
        }),
      ),
    );
    expect(order).toEqual([1, 2, 3]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  });

  it('do not keep one key waiting for another', async () => {
    const turns = new Turns();
    const { open, opened } = gate();
    const slow = turns.run('a', () => opened);
    expect(await turns.run('b', () => Promise.resolve('b'))).toBe('b');
    open();
    await slow;
  });

  it('pass over work whose caller gave up, and never start two at once', async () => {
    const turns = new Turns();
    const { open, opened } = gate();
    const first = turns.run('k', () => opened);
    const abort = new AbortController();
    let ran = false;
    const second = turns.run(
      'k',
      () => {
        ran = true;
        return Promise.resolve();
      },
      abort.signal,
    );
    let isThirdIn = false;
    const third = turns.run('k', () => {
      isThirdIn = true;
      return Promise.resolve();
    });
    abort.abort();
    await expect(second).rejects.toMatchObject({ code: 'Cancelled' });
    await settled();
    expect(isThirdIn).toBe(false);
    open();
    await Promise.all([first, third]);
    expect([ran, isThirdIn]).toEqual([false, true]);
  });
});
