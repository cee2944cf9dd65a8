import type { Random } from '@oaas/commons/time';
import { type DiskFaults, healthyDisk } from './disk.ts';
import { healthyLink, type LinkFaults } from './network.ts';

/** What happens to a cluster in one run. Rates are means, in milliseconds of virtual time between two; Infinity is never. */
export interface Swarm {
  readonly link: LinkFaults;
  readonly disk: DiskFaults;
  /** Links whose delay grows for a while. */
  readonly clogs: { readonly everyMs: number; readonly meanMs: number; readonly delayMs: number };
  readonly partitions: { readonly everyMs: number; readonly meanMs: number; readonly kinds: readonly PartitionKind[] };
  readonly crashes: { readonly everyMs: number; readonly downMs: number; readonly wipes: number };
  readonly pauses: { readonly everyMs: number; readonly meanMs: number };
  readonly clocks: { readonly everyMs: number; readonly jumpMs: number; readonly driftPartsPerMillion: number };
}

export type PartitionKind = 'isolate' | 'one-way' | 'halves' | 'ring';

/** What a run may contain. A fault that is not allowed never happens; one that is allowed happens in about half the runs. */
export interface SwarmLimits {
  /** A node that comes back without its disk is another member: only where the test replaces it. Default false. */
  readonly wipes?: boolean | undefined;
  /** Flushes that fail, writes that fail. Default false. */
  readonly diskErrors?: boolean | undefined;
}

/**
 * Draws the faults of one run. Each kind is on or off by itself, because a run with all of them seldom gets deep anywhere
 * (A. Groce et al., "Swarm Testing", 2012). Ranges as those of TigerBeetle's VOPR, slowed to elections of about a second.
 */
export function chooseSwarm(random: Random, limits: SwarmLimits = {}): Swarm {
  const isOn = (): boolean => random.next() < 0.5;
  const share = (most: number): number => (isOn() ? random.next() * most : 0);
  const between = (least: number, most: number): number => least + random.next() * (most - least);
  const every = (least: number, most: number): number => (isOn() ? between(least, most) : Number.POSITIVE_INFINITY);
  const kinds = (['isolate', 'one-way', 'halves', 'ring'] as const).filter(isOn);
  const meanMs = between(0.2, 30);
  return {
    link: {
      ...healthyLink,
      loss: share(0.3),
      duplication: share(0.5),
      delay: { minMs: 0.1, meanMs, maxMs: meanMs * between(2, 30) },
      reorders: isOn(),
      resets: share(0.002),
    },
    disk: {
      ...healthyDisk,
      delay: { minMs: 0.01, meanMs: between(0.05, 5), maxMs: between(5, 200) },
      tears: between(0.8, 1),
      flushFailures: limits.diskErrors === true ? share(0.001) : 0,
      writeFailures: limits.diskErrors === true ? share(0.001) : 0,
    },
    clogs: { everyMs: every(500, 10_000), meanMs: between(100, 5000), delayMs: between(50, 5000) },
    partitions: {
      everyMs: every(1000, 20_000),
      meanMs: between(200, 10_000),
      kinds: kinds.length === 0 ? ['isolate'] : kinds,
    },
    crashes: {
      everyMs: every(1000, 30_000),
      downMs: between(10, 10_000),
      wipes: limits.wipes === true ? share(0.3) : 0,
    },
    pauses: { everyMs: every(1000, 20_000), meanMs: between(10, 8000) },
    clocks: { everyMs: every(1000, 20_000), jumpMs: between(1, 3_600_000), driftPartsPerMillion: between(0, 1000) },
  };
}
