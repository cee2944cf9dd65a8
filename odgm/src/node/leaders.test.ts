import { simulatedTime } from '@oaas/commons/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Mesh, MessageHandler } from '../mesh/index.ts';
import { LeaderBoard } from './leaders.ts';

let time: ReturnType<typeof simulatedTime>;
let boards: LeaderBoard[];

/** Boards of members 1, 2, ..., which hear one another at once. */
function boardsOf(count: number): LeaderBoard[] {
  const handlers: MessageHandler[] = [];
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  return numbers.map((self) => {
    const mesh = {
      self: { number: self },
      peers: () => numbers.filter((number) => number !== self).map((number) => ({ number, state: 'up' })),
      onMessage: (_: number, handler: MessageHandler) => (handlers[self] = handler),
      onLink: () => () => undefined,
      send: (to: number, _: number, payload: Uint8Array) => {
        handlers[to]?.(self, payload);
        return true;
      },
    };
    return new LeaderBoard({ mesh: mesh as unknown as Mesh, timers: time.timers });
  });
}

beforeEach(() => {
  time = simulatedTime();
  boards = boardsOf(3);
});

const seen = (): number[] => boards.map((board) => board.leaderOf(7));

describe('word of who leads a shard', () => {
  it('reaches all members, and that of an older term changes nothing', async () => {
    boards[0]?.observe(7, 1, 3);
    boards[1]?.observe(7, 2, 2);
    await time.advance(20);
    expect(seen()).toEqual([1, 1, 1]);
  });

  it('stays with a member whose own replica goes: others lead on, and do not say so again at once', async () => {
    boards[0]?.observe(7, 1, 3);
    await time.advance(20);
    boards[1]?.observe(7, 1, 3);
    boards[1]?.left(7);
    expect(seen()).toEqual([1, 1, 1]);
  });

  it('is lost with the replica of the one that led, and comes back with the next round', async () => {
    boards[0]?.observe(7, 1, 3);
    await time.advance(20);
    // A replica that was alone for a while, and is removed: its term was higher than that of the others.
    boards[1]?.observe(7, 0, 9);
    expect(seen()).toEqual([1, 0, 1]);
    boards[1]?.left(7);
    await time.advance(6000);
    expect(seen()).toEqual([1, 1, 1]);
  });

  it('gives way to that of a lower term when nobody says it any more: the group began anew', async () => {
    boards[0]?.observe(7, 1, 9);
    await time.advance(20);
    boards[0]?.left(7);
    boards[1]?.left(7);
    boards[1]?.observe(7, 2, 1);
    await time.advance(5000);
    expect(seen()[2]).toBe(1);
    await time.advance(25_000);
    expect(seen()[2]).toBe(2);
  });

  it('is forgotten in time: the shard may be gone', async () => {
    boards[0]?.observe(7, 1, 9);
    await time.advance(20);
    boards[0]?.left(7);
    await time.advance(90_000);
    expect(seen()).toEqual([0, 0, 0]);
  });
});
