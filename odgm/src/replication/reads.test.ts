import { describe, expect, it } from 'vitest';
import { ReadRounds } from './reads.ts';

describe('a read that only waits for what is committed to be applied', () => {
  it('asks nobody, shares its wait with others of the same index, and ends when that is applied', async () => {
    let asked = 0;
    const options = { ask: () => (asked += 1), now: () => 0, timeoutMs: 1000, askAgainMs: 100 };
    const reads = new ReadRounds(options, 0);
    const first = reads.until(5);
    expect(reads.until(5)).toBe(first);
    const later = reads.until(6);
    const ended: string[] = [];
    void first.then(() => ended.push('5'));
    void later.then(() => ended.push('6'));
    reads.begin();
    reads.applied(4);
    await Promise.resolve();
    expect(ended).toEqual([]);
    reads.applied(5);
    await first;
    expect(ended).toEqual(['5']);
    reads.applied(6);
    await later;
    expect(asked).toBe(0);
    expect(reads.isEmpty).toBe(true);
  });
});

describe('reads that ask the leader', () => {
  const start = () => {
    const contexts: Uint8Array[] = [];
    let now = 0;
    const options = {
      ask: (context: Uint8Array) => contexts.push(context),
      now: () => now,
      ...{ timeoutMs: 1000, askAgainMs: 100 },
    };
    const reads = new ReadRounds(options, 0);
    const done: string[] = [];
    const read = (name: string): void => {
      reads.wait().then(
        () => done.push(name),
        () => done.push(`${name} refused`),
      );
    };
    const answer = (question: number, index = 5, applied = 5): number | undefined =>
      reads.answer({ index, context: contexts[question] ?? new Uint8Array(0) }, applied);
    const settled = async (): Promise<string[]> => {
      await Promise.resolve();
      return done;
    };
    const tick = (at: number): void => {
      now = at;
      reads.tick(1);
    };
    return { reads, contexts, read, answer, settled, tick };
  };

  it('share a question; a second one follows when as many wait for it, and a third one waits', async () => {
    const { reads, contexts, read, answer, settled } = start();
    read('a');
    read('b');
    reads.begin();
    read('c');
    expect(reads.hasWaiting).toBe(false);
    reads.begin();
    expect(contexts).toHaveLength(1);
    read('d');
    expect(reads.hasWaiting).toBe(true);
    reads.begin();
    read('e');
    read('f');
    reads.begin();
    expect(contexts).toHaveLength(2);
    answer(0);
    expect(await settled()).toEqual(['a', 'b']);
    reads.begin();
    expect(contexts).toHaveLength(3);
    answer(1);
    answer(2);
    expect(await settled()).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(reads.isEmpty).toBe(true);
  });

  it('take the answer to a later question, but none to an earlier one', async () => {
    const { reads, read, answer, settled } = start();
    for (const name of ['a', 'b']) {
      read(name);
      reads.begin();
    }
    expect(answer(1, 7, 5)).toBe(0);
    reads.applied(6);
    expect(await settled()).toEqual([]);
    reads.applied(7);
    expect(await settled()).toEqual(['a', 'b']);
    expect(answer(0)).toBeUndefined();
    read('c');
    reads.begin();
    expect(answer(1)).toBeUndefined();
    expect(await settled()).toEqual(['a', 'b']);
  });

  it('are asked for again when no answer comes, each for itself, and refused when that takes too long', async () => {
    const { reads, contexts, read, answer, settled, tick } = start();
    read('a');
    reads.begin();
    tick(60);
    read('b');
    reads.begin();
    tick(100);
    expect(contexts).toHaveLength(3);
    // The question of b was asked before that of a was repeated.
    expect(answer(1)).toBe(60);
    expect(await settled()).toEqual(['a', 'b']);
    read('c');
    reads.begin();
    tick(1099);
    expect(await settled()).toEqual(['a', 'b']);
    tick(1100);
    expect(await settled()).toEqual(['a', 'b', 'c refused']);
  });
});
