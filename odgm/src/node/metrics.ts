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
      help: '1 when the shards lie evenly on the members, 0 when one member has all.',
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
