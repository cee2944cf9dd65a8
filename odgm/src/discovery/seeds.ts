import type { Clock } from '@oaas/commons/time';
import type { Found } from './dns.ts';

/**
 * Nodes that are found rather than listed. Nobody knows how many there will be, so that a cluster is formed only when as
 * many as `expected` were found and none of them is a member: with fewer, two parts that do not see each other could both
 * form one. A cluster that is there is joined by however many come.
 */
export function discoveredSeeds(options: {
  readonly find: () => Promise<readonly Found[]>;
  readonly expected: number;
  /** What was found is asked for again when it is older than this. */
  readonly freshMs: number;
  readonly clock: Clock;
}): { readonly find: () => Promise<readonly Found[]>; readonly quorum: number; readonly expected: number } {
  const { find, expected, freshMs, clock } = options;
  let known: readonly Found[] = [];
  let askedAt = -Infinity;
  return {
    find: async () => {
      if (clock.monotonic() - askedAt < freshMs) return known;
      known = await find();
      askedAt = clock.monotonic();
      return known;
    },
    quorum: expected,
    expected,
  };
}
