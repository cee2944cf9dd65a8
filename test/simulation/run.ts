import type { SimWorld } from '@oaas/odgm/testkit/sim';

export const worldNames = ['groups', 'nodes', 'storms'] as const;

/**
 * `groups`: hosts, engines and shards, whose members an operator changes. `nodes`: whole nodes, which do that themselves.
 * `storms`: replicas that merge.
 */
export type World = (typeof worldNames)[number];

export interface PlayOptions {
  readonly seed: number;
  /** Default 5. */
  readonly nodes?: number | undefined;
  readonly onTrace?: ((line: string) => void) | undefined;
}

/** What one seed did. */
export interface Played {
  readonly hash: string;
  readonly virtualMs: number;
  readonly operations: number;
  readonly memberChanges: number;
  readonly crashes: number;
  readonly ambushes: number;
  /** States of two replicas at one index that were compared. */
  readonly compared: number;
  /** Keys whose history had too many possible orders to be judged. */
  readonly doubtful: number;
}

export type Play = (options: PlayOptions) => Promise<Played>;

/** A run that found something: what, when, and what happened last. */
export class PlayFailure extends Error {
  readonly seed: number;
  readonly tail: readonly string[];

  constructor(world: SimWorld, cause: unknown) {
    super(`${world.now.toFixed(0)} ms: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'PlayFailure';
    this.seed = world.seed;
    this.tail = world.trace.tail();
  }
}
