import type { Random } from '@oaas/commons/time';
import type { Tuning } from '@oaas/odgm/replication';
import { chooseSwarm, type Swarm } from '@oaas/odgm/testkit/sim';

/** Everything about one run that is drawn from its seed before it begins. */
export interface Plan {
  readonly swarm: Swarm;
  readonly tuning: Partial<Tuning>;
  readonly engine: {
    readonly segmentBytes: number;
    readonly retentionBytes: number;
    readonly flushBytes: number;
    readonly flushKeys: number;
    readonly flushAgeMs: number;
    readonly cacheBytes: number;
  };
  /** Groups of the cluster, each with one shard. */
  readonly shards: number;
  /** The first voters of each shard. */
  readonly voters: number;
  readonly clients: number;
  readonly keys: number;
  /** A client waits so long, on average, between two operations. */
  readonly thinkMs: number;
  /** Virtual length of the safety phase. */
  readonly faultyMs: number;
  /** Mean between two attacks on the leader of a shard; Infinity: it is met by chance only. */
  readonly huntMs: number;
  /** The operator leaves learners what they are. */
  readonly keepsLearners: boolean;
  /** Leaders are struck at the worst moments. */
  readonly ambushes: boolean;
  /** Means between two acts of the operator; Infinity: the members stay as they are. */
  readonly memberChangeMs: number;
}

/**
 * Draws a run. Sizes are small against those of a real node, so that compaction, snapshots, checkpoints and full windows
 * come in every run, not once a day.
 */
export function choosePlan(random: Random, nodes: number): Plan {
  const between = (least: number, most: number): number => least + random.next() * (most - least);
  const whole = (least: number, most: number): number => Math.floor(between(least, most + 1));
  const oneOf = <T>(...values: readonly T[]): T => values[whole(0, values.length - 1)] as T;
  const isOn = (share: number): boolean => random.next() < share;
  const segmentBytes = oneOf(16_384, 65_536);
  const swarm = chooseSwarm(random, { diskErrors: isOn(0.25) });
  // Crashes in quick succession: votes and terms are what such a run is about.
  const storm = { everyMs: between(100, 800), downMs: between(5, 400), wipes: 0 };
  // Words travel faster than they are written down: what leaves too early is out long before it is safe.
  const slowDisk = { ...swarm.disk, delay: { minMs: 1, meanMs: between(5, 40), maxMs: 200 } };
  return {
    swarm: {
      ...swarm,
      ...(isOn(0.3) ? { crashes: storm } : {}),
      ...(isOn(0.3) ? { disk: slowDisk } : {}),
    },
    tuning: {
      leaseReads: isOn(0.3),
      quietAfterTicks: oneOf(10, 40),
      keepEntries: oneOf(10, 50, 300, 10_000),
      keepBytes: oneOf(4096, 1024 * 1024),
      snapshotChunkBytes: oneOf(16, 64, 65_536),
      maxSnapshots: whole(1, 2),
      snapshotResumeMs: oneOf(500, 60_000),
      maxMessageBytes: oneOf(100, 2000, 1024 * 1024),
      maxInflightMessages: oneOf(2, 16, 256),
      commitHoldMs: oneOf(0, 2, 20),
    },
    engine: {
      segmentBytes,
      retentionBytes: segmentBytes * whole(2, 6),
      flushBytes: oneOf(2048, 65_536),
      flushKeys: oneOf(16, 256),
      flushAgeMs: oneOf(100, 1000),
      cacheBytes: oneOf(1024, 1024 * 1024),
    },
    shards: oneOf(1, 1, 2),
    voters: Math.min(nodes, oneOf(3, 3, 5)),
    clients: whole(2, 5),
    keys: whole(2, 6),
    thinkMs: between(5, 100),
    faultyMs: between(5000, 25_000),
    keepsLearners: isOn(0.3),
    ambushes: isOn(0.6),
    huntMs: isOn(0.5) ? between(300, 4000) : Number.POSITIVE_INFINITY,
    memberChangeMs: isOn(0.7) ? between(100, 3000) : Number.POSITIVE_INFINITY,
  };
}
