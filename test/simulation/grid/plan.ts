import type { Random } from '@oaas/commons/time';
import { chooseSwarm, type Swarm } from '@oaas/odgm/testkit/sim';
import { choosePlan, type Plan } from '../plan.ts';

/** Everything about one run of whole nodes that is drawn from its seed before it begins. */
export interface GridPlan extends Pick<Plan, 'tuning' | 'engine' | 'clients' | 'keys' | 'thinkMs'> {
  readonly swarm: Swarm;
  readonly nodes: number;
  /** Partitions of the collection that clients use. */
  readonly partitions: number;
  readonly replicas: number;
  /** Virtual length of the safety phase. */
  readonly faultyMs: number;
  /** Means between two of each; Infinity: never. */
  readonly killAllMs: number;
  readonly operatorMs: number;
  /** Share of changes of replicas that are followed by the crash of those concerned, or of all. */
  readonly ambushes: number;
  /** Faults begin before there is a grid. */
  readonly startsFaulty: boolean;
  /** A member that is down for longer is repaired away. */
  readonly nodeDownMs: number;
  readonly autoRebalance: 'off' | 'on';
  /** The operator puts and deletes further collections. */
  readonly changesCollections: boolean;
  /** Replicas of a further collection may be as few. */
  readonly fewestReplicas: number;
  /** A collection beside, whose replicas merge; undefined: there is none. */
  readonly merging:
    { readonly type: 'basic' | 'mst'; readonly partitions: number; readonly replicas: number } | undefined;
  /** Mean between two disks that are lost; Infinity: none is. Nothing is promised of what has one replica. */
  readonly wipeMs: number;
}

export function chooseGridPlan(random: Random, nodes: number): GridPlan {
  const between = (least: number, most: number): number => least + random.next() * (most - least);
  const oneOf = <T>(...values: readonly T[]): T => values[Math.floor(random.next() * values.length)] as T;
  const isOn = (share: number): boolean => random.next() < share;
  const { tuning, engine, keys } = choosePlan(random, nodes);
  const swarm = chooseSwarm(random, { diskErrors: isOn(0.15) });
  const plan = {
    ...{ keys, nodes },
    // What is applied and not yet in the base is what a crash takes back.
    engine: {
      ...engine,
      flushBytes: oneOf(engine.flushBytes, 1024 * 1024),
      flushKeys: oneOf(engine.flushKeys, 8192),
      flushAgeMs: oneOf(100, 1000, 5000),
    },
    // Elections of a real node: duties and steps have their own times, which follow from it.
    tuning: { ...tuning, snapshotChunkBytes: oneOf(512, 65_536) },
    swarm: isOn(0.3) ? { ...swarm, disk: { ...swarm.disk, delay: slowDisk(between(5, 40)) } } : swarm,
    clients: 1 + Math.floor(random.next() * 3),
    thinkMs: between(20, 200),
    partitions: oneOf(1, 2, 3),
    replicas: nodes < 3 ? 1 : oneOf(3, 3, 3, 1),
    faultyMs: between(15_000, 45_000),
    killAllMs: isOn(0.6) ? between(3000, 15_000) : Number.POSITIVE_INFINITY,
    operatorMs: isOn(0.7) ? between(500, 5000) : Number.POSITIVE_INFINITY,
    ambushes: isOn(0.6) ? between(0.05, 0.4) : 0,
    startsFaulty: isOn(0.4),
    nodeDownMs: oneOf(1000, 4000, 60_000),
    autoRebalance: oneOf<'off' | 'on'>('off', 'on'),
    changesCollections: isOn(0.5),
    wipeMs: isOn(0.5) ? between(500, 5000) : Number.POSITIVE_INFINITY,
  };
  if (plan.replicas === 1) plan.wipeMs = Number.POSITIVE_INFINITY;
  const merging =
    nodes > 1 && isOn(0.4)
      ? { type: oneOf<'basic' | 'mst'>('basic', 'mst'), partitions: oneOf(1, 2), replicas: nodes < 3 ? 2 : oneOf(2, 3) }
      : undefined;
  // What was written with a clock that is far ahead is taken by the others once theirs are nearly as far.
  if (merging !== undefined) plan.swarm = withNearClocks(plan.swarm);
  return { ...plan, merging, fewestReplicas: plan.wipeMs === Number.POSITIVE_INFINITY ? 1 : plan.replicas };
}

/** Words travel faster than they are written down: what leaves too early is out long before it is safe. */
const slowDisk = (meanMs: number): Swarm['disk']['delay'] => ({ minMs: 1, meanMs, maxMs: 200 });

const withNearClocks = ({ clocks, ...swarm }: Swarm): Swarm => ({
  ...swarm,
  clocks: { ...clocks, jumpMs: Math.min(clocks.jumpMs, 20_000) },
});
