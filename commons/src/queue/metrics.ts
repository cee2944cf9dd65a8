import type { Consequence } from '../errors/index.ts';

/** What a queue tells about itself. `workQueueMetrics` of `@oaas/commons/telemetry` makes Prometheus metrics of it. */
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
