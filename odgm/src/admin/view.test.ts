import { expect, it } from 'vitest';
import { balanceOf, type PlacedShard } from './view.ts';

/** Shards by the members that hold them, the leader first. */
const held = (...shards: string[]): PlacedShard[] =>
  shards.map((members) => ({
    replicas: Array.from(members, (node, i) => ({ node, role: i === 0 ? 'leader' : 'follower' })),
  }));

it.each<[string, PlacedShard[], string[], number]>([
  ['even', held('a', 'a', 'b', 'b'), ['a', 'b'], 1],
  ['as even as rounding allows', held('a', 'a', 'b'), ['a', 'b'], 1],
  ['all on one', held('a', 'a', 'a', 'a'), ['a', 'b'], 0],
  ['in between', held('a', 'a', 'a', 'b'), ['a', 'b'], 0.5],
  ['one member', held('a', 'a'), ['a'], 1],
  ['no shards', [], ['a', 'b', 'c'], 1],
  ['shards without a place do not count', held('a', 'b', '', ''), ['a', 'b'], 1],
  ['who leads does not count', held('ab', 'ab', 'ab'), ['a', 'b'], 1],
  [
    'a replica of everything on one of four members',
    held('ab', 'ac', 'ad', 'ab', 'ac', 'ad'),
    ['a', 'b', 'c', 'd'],
    2 / 3,
  ],
  ['a member that joined has nothing yet', held('abc', 'abc', 'abc', 'abc'), ['a', 'b', 'c', 'd'], 2 / 3],
  ['what lies on a member that is gone does not count', held('ax', 'bx', 'ax', 'bx'), ['a', 'b'], 1],
])('balance: %s', (_, shards, members, score) => {
  expect(balanceOf(shards, members)).toBeCloseTo(score);
});

it('balance: learners and replicas that merge', () => {
  const learner = {
    replicas: [
      { node: 'a', role: 'leader' },
      { node: 'b', role: 'learner' },
    ],
  };
  expect(balanceOf([learner, learner], ['a', 'b'])).toBe(0);
  const merging = { replicas: [{ node: 'a', role: 'replica' }] };
  expect(balanceOf([merging, merging], ['a', 'b'])).toBe(0);
});
