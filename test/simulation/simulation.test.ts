import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { play as playNodes } from './grid/play.ts';
import { brokenBy } from './guarantees.ts';
import { playWith } from './mutate.ts';
import { mutations } from './mutations.ts';
import { play } from './play.ts';
import { knownSeeds } from './seeds.ts';
import { plays } from './worlds.ts';

const minutes = 60_000;

describe('a cluster in virtual time', () => {
  it.each([1, 2, 3])(
    'keeps its guarantees and goes on once a quorum is healed: seed %i',
    async (seed) => {
      const played = await play({ seed });
      expect(played.operations).toBeGreaterThan(50);
      expect(played.compared).toBeGreaterThan(100);
      expect(played.doubtful).toBe(0);
    },
    2 * minutes,
  );

  it.each(knownSeeds)(
    'does not fail as it did before: seed $seed, $why',
    async ({ seed, nodes, world }) => {
      await plays[world ?? 'groups']({ seed, nodes });
    },
    2 * minutes,
  );

  it(
    'does the same again for the same seed, and something else for another',
    async () => {
      const [first, again, other] = [await play({ seed: 7 }), await play({ seed: 7 }), await play({ seed: 8 })];
      expect(again).toEqual(first);
      expect(other.hash).not.toBe(first.hash);
    },
    2 * minutes,
  );
});

describe('whole nodes in virtual time', () => {
  it.each([2, 7])(
    'form a grid, keep its guarantees, and come to rest once they are healed: seed %i',
    async (seed) => {
      const played = await playNodes({ seed });
      expect(played.operations).toBeGreaterThan(30);
      expect(played.compared).toBeGreaterThan(100);
      expect(played.doubtful).toBe(0);
    },
    2 * minutes,
  );

  // Those of 2 have replicas that merge as well.
  it.each([2, 4])(
    'do the same again for the same seed: %i',
    async (seed) => {
      expect(await playNodes({ seed })).toEqual(await playNodes({ seed }));
    },
    2 * minutes,
  );
});

describe('a bug that is put back', () => {
  it.each(mutations.map(({ name, file, find }) => [name, file, find]))(
    'has its place in the source once: %s',
    async (_, file, find) => {
      const source = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
      expect(source.split(find)).toHaveLength(2);
    },
  );

  const bugs: [name: string, seeds: number][] = [
    ['a commit needs one voter less than a majority', 10],
    ['a node removes replicas on the word of a meta state that is older than they are', 15],
    ['a clock begins anew with a restart', 20],
    ['keys that changed since the tree was stored are forgotten with a restart', 20],
  ];

  it.each(bugs)(
    'is found, with its time and the last lines before it: %s',
    async (name, seeds) => {
      const mutation = mutations.find((one) => one.name === name);
      if (mutation === undefined) throw new Error('no such mutation');
      const mutated = await playWith(mutation, mutation.world);
      let failure: unknown;
      for (let seed = 1; seed <= seeds && failure === undefined; seed += 1) {
        failure = await mutated({ seed }).then(
          () => undefined,
          (error: unknown) => error,
        );
      }
      expect(mutation.breaks).toContain(brokenBy(failure));
      expect((failure as { tail: string[] }).tail.length).toBeGreaterThan(50);
    },
    2 * minutes,
  );
});
