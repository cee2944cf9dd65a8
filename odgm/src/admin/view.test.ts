import { expect, it } from 'vitest';
import { balanceOf } from './view.ts';

const led = (...leaders: string[]) => leaders.map((leader) => ({ leader }));

it.each<[string, { leader: string }[], number, number]>([
  ['even', led('a', 'a', 'b', 'b'), 2, 1],
  ['as even as rounding allows', led('a', 'a', 'b'), 2, 1],
  ['all on one', led('a', 'a', 'a', 'a'), 2, 0],
  ['in between', led('a', 'a', 'a', 'b'), 2, 0.5],
  ['one member', led('a', 'a'), 1, 1],
  ['no shards', led(), 3, 1],
  ['shards that nobody serves do not count', led('a', 'b', '', ''), 2, 1],
])('balance: %s', (_, shards, members, score) => {
  expect(balanceOf(shards, members)).toBe(score);
});
