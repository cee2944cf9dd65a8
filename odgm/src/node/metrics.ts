import type { Metrics } from '@oaas/commons/telemetry';

export const operations = [
  'get',
  'set',
  'merge',
  'delete',
  'list_objects',
  'get_value',
  'set_value',
  'delete_value',
  'batch_set_values',
  'list_values',
] as const;
export type Operation = (typeof operations)[number];

const writes: ReadonlySet<Operation> = new Set([
  'set',
  'merge',
  'delete',
  'set_value',
  'delete_value',
  'batch_set_values',
]);

export function isWrite(operation: Operation): boolean {
  return writes.has(operation);
}

/** Different collections in labels; further ones count as `other`. */
const maxCollections = 200;
const results = ['ok', 'error'] as const;

/** The metrics of a node that have a meaning in this build. `onScrape` sets what is read off state when it is asked for. */
export function createNodeMetrics(metrics: Metrics) {
  const collection = { collection: maxCollections } as const;
  let sample = (): void => undefined;
  return {
    onScrape: (run: () => void): void => {
      sample = run;
    },
    nodes: metrics.gauge({
      name: 'odgm_cluster_nodes_total',
      help: 'Nodes of the cluster that are up.',
      collect: () => {
        sample();
      },
    }),
    elections: metrics.counter({
      name: 'odgm_cluster_leader_elections_total',
      help: 'Leaders that the replicas of this node have seen come: of the meta group, and of shards.',
      labels: { group: ['meta', 'shard'] },
    }),
    term: metrics.gauge({ name: 'odgm_raft_term', help: 'Raft term of the meta group, as this node knows it.' }),
    committedIndex: metrics.gauge({
      name: 'odgm_raft_committed_index',
      help: 'Last index of the meta group that this node knows to be committed.',
    }),
    objects: metrics.gauge({
      name: 'odgm_collection_objects_total',
      help: 'Objects of a collection on this node.',
      labels: collection,
    }),
    bytes: metrics.gauge({
      name: 'odgm_collection_size_bytes',
      help: 'Bytes of ids, keys and values of a collection on this node.',
      labels: collection,
    }),
    operations: metrics.counter({
      name: 'odgm_collection_operations_total',
      help: 'Operations on a collection that this node served.',
      labels: { ...collection, operation: operations, result: results },
    }),
    operationSeconds: metrics.histogram({
      name: 'odgm_collection_operation_duration_seconds',
      help: 'Duration of operations on a collection.',
      labels: { ...collection, operation: operations },
    }),
    balance: metrics.gauge({
      name: 'odgm_shard_distribution_balance',
      help: '1 when the replicas of the shards lie evenly on the members, whoever leads; 0 when one member has all.',
    }),
    migrationSeconds: metrics.histogram({
      name: 'odgm_shard_migration_duration_seconds',
      help: 'From the beginning to the end of moves of replicas that ended as planned, counted by the member that drives them.',
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200],
    }),
    replicationLag: metrics.histogram({
      name: 'odgm_shard_replication_lag',
      help: 'Log entries that other replicas of the shards that this node leads do not have yet, looked at with each scrape.',
      buckets: [0, 1, 10, 100, 1000, 10_000, 100_000],
    }),
    antiEntropyRounds: metrics.counter({
      name: 'odgm_anti_entropy_rounds_total',
      help: 'Comparisons of a replica with another one of its shard, where replicas merge: that found both equal, that ended with both having the same, and that came to no end.',
      labels: { result: ['equal', 'exchanged', 'failed'] },
    }),
    antiEntropyDifferences: metrics.counter({
      name: 'odgm_anti_entropy_differences_total',
      help: 'Objects and entries that differed in those comparisons and were exchanged.',
    }),
    antiEntropyBytes: metrics.counter({
      name: 'odgm_anti_entropy_bytes_total',
      help: 'Bytes of those comparisons, whichever side began them.',
      labels: { direction: ['received', 'sent'] },
    }),
    hints: metrics.gauge({
      name: 'odgm_replication_hints',
      help: 'Objects and entries that other replicas may lack and that are kept for them, where replicas merge.',
      labels: collection,
    }),
    eventTriggers: metrics.counter({
      name: 'odgm_event_triggers_total',
      help: 'Triggers that were set off and that this node has taken up to deliver; again after a change of leadership.',
    }),
    eventSeconds: metrics.histogram({
      name: 'odgm_event_processing_duration_seconds',
      help: 'From a trigger that was set off to the end of the call that it leads to.',
    }),
    eventQueue: metrics.gauge({
      name: 'odgm_event_queue_size',
      help: 'Triggers that were set off, that this node has to deliver, and whose call has not ended.',
    }),
    eventErrors: metrics.counter({
      name: 'odgm_event_processing_errors_total',
      help: 'Triggers that could not be delivered and became dead letters.',
    }),
    networkBytes: metrics.counter({
      name: 'odgm_network_io_bytes_total',
      help: 'Bytes of connections with clients and with other members.',
      labels: { direction: ['received', 'sent'] },
    }),
    diskBytes: metrics.counter({
      name: 'odgm_disk_io_bytes_total',
      help: 'Bytes that this process read from and wrote to disks, as the operating system counts them.',
      labels: { operation: ['read', 'write'] },
    }),
    memory: metrics.gauge({ name: 'odgm_memory_usage_bytes', help: 'Resident memory of this node.' }),
    cpu: metrics.gauge({
      name: 'odgm_cpu_usage_percent',
      help: 'Processor time of this node since the last scrape, in percent of one core.',
    }),
    calls: metrics.counter({
      name: 'odgm_function_calls_total',
      help: 'Function calls that this node routed.',
      labels: { ...collection, function: maxCollections },
    }),
    callSeconds: metrics.histogram({
      name: 'odgm_function_call_duration_seconds',
      help: 'Duration of function calls.',
      labels: { ...collection, function: maxCollections },
    }),
    callErrors: metrics.counter({
      name: 'odgm_function_errors_total',
      help: 'Function calls that ended with another status than OKAY.',
      labels: { ...collection, function: maxCollections, status: ['INVALID_REQUEST', 'APP_ERROR', 'SYSTEM_ERROR'] },
    }),
    concurrentCalls: metrics.gauge({ name: 'odgm_concurrent_functions', help: 'Function calls in flight.' }),
    forwarded: metrics.counter({
      name: 'odgm_forwarded_calls_total',
      help: 'Calls that this node passed on to the member that has the shard.',
      labels: { ...collection, operation: operations },
    }),
  };
}

export type NodeMetrics = ReturnType<typeof createNodeMetrics>;
