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
