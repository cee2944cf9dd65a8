import { simulatedTime } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import { DeploysFirst } from './deploys-first.ts';

describe('records that are being stored', () => {
  it('keep reconciling waiting until the burst is over', async () => {
    const time = simulatedTime();
    const first = new DeploysFirst(time);
    let stored: () => void = () => undefined;
    const storing = first.store(() => new Promise<void>((resolve) => (stored = resolve)));
    let hadTurn = false;
    const turn = first.turn(new AbortController().signal).then(() => (hadTurn = true));
    await time.advance(1000);
    expect(hadTurn).toBe(false);
    stored();
    await storing;
    await time.advance(100);
    await turn;
    expect(hadTurn).toBe(true);
  });

  it('keep nothing waiting for ever', async () => {
    const time = simulatedTime();
    const first = new DeploysFirst(time);
    void first.store(() => new Promise<void>(() => undefined));
    const turn = first.turn(new AbortController().signal);
    await time.advance(10_020);
    await expect(turn).resolves.toBeUndefined();
  });
});
