import type { Clock } from '@oaas/commons/time';
import { shardDistribution } from './admin/index.ts';
import type { DeliveryObserver } from './events/index.ts';
import type { Invoker } from './invocation/index.ts';
import { type GridNode, type HostedCollection, type NodeMetrics, operations } from './node/index.ts';
import type { ResourceSampler } from './resources.ts';

export interface Sampled {
  readonly clock: Clock;
  readonly memoryBytes: () => number;
  /** Processor time used so far, in milliseconds. */
  readonly cpuMs: () => number;
  readonly node: GridNode;
  readonly invoker: Invoker;
  readonly resources: ResourceSampler;
  readonly metrics: NodeMetrics;
  /** Bytes of connections with clients since the start. */
  readonly traffic: () => { readonly received: number; readonly sent: number };
}

/** Sets what is read off the node's state when somebody looks at it. */
export function sampleOnScrape(sampled: Sampled): void {
  const { clock, cpuMs, memoryBytes, node, invoker, resources, metrics, traffic } = sampled;
  let last = { at: clock.monotonic(), cpu: cpuMs() };
  const counted = new Counted();
  const known = new Set<string>();
  metrics.onScrape(() => {
    const now = { at: clock.monotonic(), cpu: cpuMs() };
    metrics.cpu.set({}, now.at > last.at ? (100 * (now.cpu - last.cpu)) / (now.at - last.at) : 0);
    last = now;
    metrics.memory.set({}, memoryBytes());
    metrics.concurrentCalls.set({}, invoker.inFlight);
    sampleCluster(node, metrics, counted);
    sampleAntiEntropy(node, metrics, counted);
    sampleEvents(node, metrics);
    for (const gauge of [metrics.objects, metrics.bytes, metrics.hints]) gauge.reset();
    const present = new Set<string>();
    for (const collection of node.collections()) {
      const { name } = collection.spec;
      if (!known.has(name)) beginAtZero(collection, metrics);
      known.add(name);
      present.add(name);
      sampleCollection(collection, metrics);
    }
    for (const name of known) if (!present.has(name)) known.delete(name);
    const [edge, links] = [traffic(), node.linkBytes()];
    for (const direction of ['received', 'sent'] as const) {
      const bytes = edge[direction] + links[direction];
      metrics.networkBytes.inc({ direction }, counted.more(`network ${direction}`, bytes));
    }
    const disk = resources.diskBytes();
    for (const operation of ['read', 'write'] as const) {
      metrics.diskBytes.inc({ operation }, counted.more(`disk ${operation}`, disk[operation]));
    }
  });
}

/** Counts what becomes of events. */
export function deliveryObserver(metrics: NodeMetrics): DeliveryObserver {
  return {
    taken: (events) => {
      metrics.eventTriggers.inc({}, events);
    },
    ended: (ageMs, death) => {
      metrics.eventSeconds.observe({}, ageMs / 1000);
      if (death !== undefined) metrics.eventErrors.inc({});
    },
  };
}

/** Of the shards whose events this node delivers. */
function sampleEvents(node: GridNode, metrics: NodeMetrics): void {
  let waiting = 0;
  for (const collection of node.collections()) {
    for (const { outbox } of collection.handles()) if (outbox.isActive) waiting += outbox.counts.events;
  }
  metrics.eventQueue.set({}, waiting);
}

function sampleCluster(node: GridNode, metrics: NodeMetrics, counted: Counted): void {
  const status = node.meta?.group.status();
  metrics.term.set({}, status?.term ?? 0);
  metrics.committedIndex.set({}, status?.commit ?? 0);
  metrics.nodes.set({}, node.members().filter(({ state }) => state === 'up').length);
  metrics.balance.set({}, shardDistribution(node).balanceScore);
  for (const group of ['meta', 'shard'] as const) {
    metrics.elections.inc({ group }, counted.more(`elections ${group}`, node.elections.totals[group]));
  }
}

function sampleAntiEntropy({ antiEntropy }: GridNode, metrics: NodeMetrics, counted: Counted): void {
  if (antiEntropy === undefined) return;
  const { equal, exchanges, failures, differences, receivedBytes, sentBytes } = antiEntropy;
  for (const [result, total] of Object.entries({ equal, exchanged: exchanges, failed: failures })) {
    metrics.antiEntropyRounds.inc({ result }, counted.more(`anti-entropy ${result}`, total));
  }
  metrics.antiEntropyDifferences.inc({}, counted.more('anti-entropy differences', differences));
  for (const [direction, total] of Object.entries({ received: receivedBytes, sent: sentBytes })) {
    metrics.antiEntropyBytes.inc({ direction }, counted.more(`anti-entropy ${direction}`, total));
  }
}

function sampleCollection(collection: HostedCollection, metrics: NodeMetrics): void {
  const labels = { collection: collection.spec.name };
  let [objects, bytes, hints] = [0, 0, 0];
  for (const handle of collection.handles()) {
    objects += handle.counters.objects;
    bytes += handle.counters.bytes;
    const { role, replicas } = handle.status();
    if (role === 'replica') for (const { lag } of replicas) hints += lag;
    if (!handle.isPrimary) continue;
    for (const { state, lag } of replicas) {
      if (state !== 'leader') metrics.replicationLag.observe({}, lag);
    }
  }
  metrics.objects.inc(labels, objects);
  metrics.bytes.inc(labels, bytes);
  metrics.hints.inc(labels, hints);
}

/** Series that are there from the beginning tell a rate from the first event on. */
function beginAtZero({ spec }: HostedCollection, metrics: NodeMetrics): void {
  const collection = spec.name;
  for (const operation of operations) {
    for (const result of ['ok', 'error']) metrics.operations.inc({ collection, operation, result }, 0);
  }
  for (const name of Object.keys(spec.invocations.fnRoutes)) {
    metrics.calls.inc({ collection, function: name }, 0);
    for (const status of ['INVALID_REQUEST', 'APP_ERROR', 'SYSTEM_ERROR']) {
      metrics.callErrors.inc({ collection, function: name, status }, 0);
    }
  }
}

/** Totals that are kept elsewhere, as what a counter has to grow by. */
class Counted {
  readonly #seen = new Map<string, number>();

  /** 0 where the total is smaller than before: something that was counted is gone. */
  more(name: string, total: number): number {
    const before = this.#seen.get(name) ?? 0;
    this.#seen.set(name, total);
    return Math.max(0, total - before);
  }
}
