/** A seed that once failed, and why. It is played again by every run of the tests. */
export interface KnownSeed {
  readonly seed: number;
  readonly nodes: number;
  readonly why: string;
}

export const knownSeeds: readonly KnownSeed[] = [];
