import type { Metrics } from '@oaas/commons/telemetry';

/** Different values of a label that has no fixed list; further ones count as `other`. */
const namesMax = 200;

/** What PM measures (contracts, Metrics). */
export function createPmMetrics(metrics: Metrics) {
  return {
    gitRequests: metrics.counter({
      name: 'oaas_git_request_total',
      help: 'Requests to Git repositories',
      labels: { repo: namesMax, type: ['check', 'fetch'], result: ['ok', 'error'] },
    }),
    gitDuration: metrics.histogram({
      name: 'oaas_git_request_duration_seconds',
      help: 'Duration of requests to Git repositories',
      labels: { type: ['check', 'fetch'] },
    }),
    webhooks: metrics.counter({
      name: 'oaas_webhook_requests_total',
      help: 'Webhook deliveries',
      labels: {
        provider: ['github', 'gitea', 'gogs', 'generic'],
        result: ['accepted', 'ignored', 'duplicate', 'refused', 'limited'],
      },
    }),
    syncs: metrics.counter({
      name: 'oaas_sync_total',
      help: 'Units handed to clusters, by outcome',
      labels: { package: namesMax, env: namesMax, phase: ['created', 'updated', 'unchanged', 'deleted', 'failed'] },
    }),
    commitToApplied: metrics.histogram({
      name: 'oaas_commit_to_applied_seconds',
      help: 'From the first sight of a commit until every cluster has it',
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300],
    }),
    drift: metrics.counter({
      name: 'oaas_drift_detected_total',
      help: 'Records that were changed or deleted in a cluster by somebody else',
      labels: { env: namesMax, kind: ['deleted', 'changed'] },
    }),
    clusterConnected: metrics.gauge({
      name: 'oaas_cluster_connection_status',
      help: '1 where the CRM of the cluster is connected',
      labels: { cluster: namesMax },
    }),
  };
}
export type PmMetrics = ReturnType<typeof createPmMetrics>;
