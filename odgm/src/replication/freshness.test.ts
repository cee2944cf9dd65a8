import { describe, expect, it } from 'vitest';
import { Freshness } from './freshness.ts';

describe('a follower', () => {
  it('had all when its leader last told what it has applied by now', () => {
    const freshness = new Freshness();
    expect(freshness.ofFollower(0, 0)).toBeUndefined();
    freshness.heard(100, 1, 5, 5);
    expect(freshness.ofFollower(130, 5)).toBe(30);
    freshness.heard(200, 1, 9, 5);
    expect(freshness.ofFollower(230, 8)).toBe(130);
    expect(freshness.ofFollower(240, 9)).toBe(40);
  });

  it('is told more all the time, and still gets to a later time with what it applies', () => {
    const freshness = new Freshness();
    for (let i = 1; i <= 100; i++) freshness.heard(i * 10, 1, i, i - 3);
    expect(freshness.ofFollower(1000, 97)).toBeLessThanOrEqual(60);
  });

  it('does not wait for the end of a log that the next leader has cut off', () => {
    const freshness = new Freshness();
    freshness.heard(100, 1, 9, 5);
    freshness.heard(200, 2, 7, 5);
    expect(freshness.ofFollower(230, 7)).toBe(30);
  });

  it('had all until the moment when its rest ended', () => {
    const freshness = new Freshness();
    freshness.heard(100, 1, 5, 5);
    freshness.rested(5000);
    expect(freshness.ofFollower(5010, 5)).toBe(10);
  });
});

describe('a leader', () => {
  const of = (freshness: Freshness, term: number, voters: number[], votersOutgoing: number[] = []) =>
    freshness.ofLeader(100, term, 1, { voters, votersOutgoing });

  it('had all when the last one that makes a quorum answered', () => {
    const freshness = new Freshness();
    expect(of(freshness, 3, [1])).toBe(0);
    expect(of(freshness, 3, [1, 2, 3])).toBeUndefined();
    freshness.answered(40, 3, 2);
    expect(of(freshness, 3, [1, 2, 3])).toBe(60);
    freshness.answered(70, 3, 3);
    expect(of(freshness, 3, [1, 2, 3])).toBe(30);
    expect(of(freshness, 3, [1, 2, 3, 4, 5])).toBe(60);
    expect(of(freshness, 3, [1, 2])).toBe(60);
  });

  it('needs both halves of a joint configuration, and answers of its own term', () => {
    const freshness = new Freshness();
    freshness.answered(70, 3, 2);
    expect(of(freshness, 3, [1, 2, 3], [1, 4, 5])).toBeUndefined();
    freshness.answered(50, 3, 4);
    expect(of(freshness, 3, [1, 2, 3], [1, 4, 5])).toBe(50);
    expect(of(freshness, 4, [1, 2, 3])).toBeUndefined();
    freshness.answered(90, 4, 3);
    expect(of(freshness, 4, [1, 2, 3])).toBe(10);
    expect(of(freshness, 4, [1, 2, 4])).toBeUndefined();
  });
});
