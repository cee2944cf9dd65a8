import { type WorkQueueMetrics, workQueueMetrics } from '@oaas/commons/queue';
import type { CounterMetric, HistogramMetric, Metrics } from '@oaas/commons/telemetry';
import type { Caches } from './cluster/caches.ts';

export interface CrmMetrics {
  readonly deployments: CounterMetric<{ readonly result: readonly ['created', 'updated', 'unchanged'] }>;
  readonly reconciliation: HistogramMetric<{ readonly result: readonly ['ok', 'error'] }>;
  readonly cacheErrors: CounterMetric<{ readonly collection: number }>;
  readonly queue: (name: 'records' | 'grids') => WorkQueueMetrics;
}

/** The CRM's metrics; names as the platform's contract has them, all registered at zero. */
export function createCrmMetrics(metrics: Metrics, caches: () => Caches | undefined): CrmMetrics {
  metrics.gauge({
    name: 'crm_active_deployments',
    help: 'Records that are not being deleted.',
    collect: (gauge) => {
      const records = [...(caches()?.records.values() ?? [])];
      gauge.set({}, records.filter(({ metadata }) => metadata.deletionTimestamp === undefined).length);
    },
  });
  metrics.counter({ name: 'crm_nfr_violations_total', help: 'Violations of requirements that were seen.' });
  metrics.counter({ name: 'crm_enforcement_actions_total', help: 'Actions taken to meet requirements.' });
  return {
    deployments: metrics.counter({
      name: 'crm_deployments_total',
      help: 'Deploy calls by result.',
      labels: { result: ['created', 'updated', 'unchanged'] },
    }),
    reconciliation: metrics.histogram({
      name: 'crm_reconciliation_duration_seconds',
      help: 'How long one look at a record took.',
      labels: { result: ['ok', 'error'] },
    }),
    cacheErrors: metrics.counter({
      name: 'crm_cache_errors_total',
      help: 'Failures to follow a collection of the Kubernetes API.',
      labels: { collection: 16 },
    }),
    queue: workQueueMetrics(metrics, ['records', 'grids']),
  };
}
