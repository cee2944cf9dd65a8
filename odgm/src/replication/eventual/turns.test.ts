import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

describe('turns', () => {
  it('come one after the other, and what has not begun stands for all that want the same', async () => {
    const turns = new Turns();
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const run = (name: string): Promise<void> =>
      turns.run(name, () => {
        begun.push(name);
        return new Promise((resolve) => ends.push(resolve));
      });
    const first = run('a');
    await Promise.resolve();
    const [again, joined, other] = [run('a'), run('a'), run('b')];
    expect(joined).toBe(again);
    expect(begun).toEqual(['a']);
    ends[0]?.();
    await first;
    await Promise.resolve();
    expect(begun).toEqual(['a', 'a']);
    ends[1]?.();
    await joined;
    await Promise.resolve();
    expect(begun).toEqual(['a', 'a', 'b']);
    ends[2]?.();
    await other;
  });

  it('go on after one that failed, whose caller learns of it', async () => {
    const turns = new Turns();
    const failed = turns.run('a', () => Promise.reject(new Error('no')));
    const after = turns.run('b', () => Promise.resolve());
    await expect(failed).rejects.toThrow('no');
    await after;
  });
});
