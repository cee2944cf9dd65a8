import { describe, expect, it } from 'vitest';
import { playWith } from './mutate.ts';
import { mutations } from './mutations.ts';
import { play } from './play.ts';
import { knownSeeds } from './seeds.ts';

const minutes = 60_000;

describe('a cluster in virtual time', () => {
  it.each([1, 2, 3, 4, 5, 6])(
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
    async ({ seed, nodes }) => {
      await play({ seed, nodes });
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

describe('a bug that is put back', () => {
  it(
    'is found, with its time and the last lines before it',
    async () => {
      const mutation = mutations.find(({ name }) => name === 'a commit needs one voter less than a majority');
      if (mutation === undefined) throw new Error('no such mutation');
      const mutated = await playWith(mutation, 0);
      const failure: unknown = await Array.from({ length: 10 }).reduce<Promise<unknown>>(
        async (found, _, i) =>
          (await found) ??
          mutated({ seed: i + 1 }).then(
            () => undefined,
            (error: unknown) => error,
          ),
        Promise.resolve(undefined),
      );
      expect(failure).toMatchObject({
        name: 'PlayFailure',
        message: expect.stringContaining('guarantee broken') as string,
      });
      expect((failure as { tail: string[] }).tail.length).toBeGreaterThan(50);
    },
    2 * minutes,
  );
});
