/** The bounded work queue of controllers: dedup, delay, backoff, one worker per key at a time. */
export { type Outcome, WorkQueue, type WorkQueueOptions, type Worker } from './queue.ts';
export { workQueueMetrics, type WorkQueueMetrics } from './metrics.ts';
