import type { Consequence } from '../errors/index.ts';
import type { Metrics } from '../telemetry/index.ts';

/** What a queue tells about itself. {@link workQueueMetrics} makes Prometheus metrics of it. */
export interface WorkQueueMetrics {
  /** Keys that wait for a worker. */
  depth(keys: number): void;
  added(): void;
  /** A key was added again after a failure. */
  retried(): void;
  failed(consequence: Consequence): void;
  /** Milliseconds that a key waited for its worker. */
  waited(ms: number): void;
  /** Milliseconds that a worker took. */
  worked(ms: number): void;
}

/**
 * Metrics of a program's work queues, under the names that client-go made customary; the queue's name is the label
 * `name`. Declare the names once (or a cap on how many there are), then take each queue's part.
 */
export function workQueueMetrics<const N extends string>(
  metrics: Metrics,
  queues: readonly N[] | number,
): (queue: N) => WorkQueueMetrics {
  const labels = { name: queues };
  const depth = metrics.gauge({ name: 'workqueue_depth', help: 'Keys that wait for a worker.', labels });
  const adds = metrics.counter({ name: 'workqueue_adds_total', help: 'Keys added.', labels });
  const retries = metrics.counter({ name: 'workqueue_retries_total', help: 'Keys added after a failure.', labels });
  const failures = metrics.counter({
    name: 'workqueue_failures_total',
    help: 'Failures of workers by consequence.',
    labels: { ...labels, consequence: ['retry', 'wait', 'stop'] },
  });
  const waited = metrics.histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'How long a key waited for its worker.',
    labels,
  });
  const worked = metrics.histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'How long a worker took for a key.',
    labels,
  });
  return (name) => ({
    depth: (keys) => {
      depth.set({ name }, keys);
    },
    added: () => {
      adds.inc({ name });
    },
    retried: () => {
      retries.inc({ name });
    },
    failed: (consequence) => {
      failures.inc({ name, consequence });
    },
    waited: (ms) => {
      waited.observe({ name }, ms / 1000);
    },
    worked: (ms) => {
      worked.observe({ name }, ms / 1000);
    },
  });
}
