import type { ClusterView, Overview, PackageView, Source, SyncRun } from '@oaas/commons/client/pm';
import { toRfc3339 } from '@oaas/commons/time';
import type { ClusterAgent } from '../cluster/agent.ts';
import type { PackageManager } from '../shell/manager.ts';
import type { PackageState, SourceState } from '../shell/state.ts';
import type { RecordIndex } from './record-index.ts';

const timeOrNull = (ms: number | undefined) => (ms === undefined ? null : toRfc3339(ms));

export function sourceView(pm: PackageManager, source: SourceState): Source {
  const { input } = source;
  const activity = pm.controller(input.name).activity;
  const { phase, message } = phaseOf(source, activity);
  return {
    name: input.name,
    url: input.url,
    ref: input.ref,
    path: input.path,
    interval_seconds: input.interval_seconds,
    timeout_seconds: input.timeout_seconds,
    prune: input.prune,
    auth_type: input.auth.type,
    auth_username: input.auth.type === 'basic' ? input.auth.username : null,
    webhook: {
      path: `/api/v1/webhooks/${input.name}`,
      secret_set: input.webhook_secret !== undefined,
      last_delivery_at: source.lastDeliveryAt,
    },
    suspended: source.suspended,
    pinned: source.pinned,
    phase,
    message,
    conditions: [...source.conditions],
    observed_commit: source.observed,
    attempted_commit: source.attempted,
    applied_commit: source.applied,
    last_checked_at: timeOrNull(activity.lastCheckedAtMs),
    next_check_at: timeOrNull(activity.nextCheckAtMs),
    plan_id: source.planId,
    plan_summary: source.planSummary,
    packages: pm.state.packagesOf({ type: 'git', source: input.name }).length,
    created_at: source.createdAt,
    updated_at: source.updatedAt,
  };
}

function phaseOf(
  source: SourceState,
  activity: ReturnType<PackageManager['controller']>['activity'],
): Pick<Source, 'phase' | 'message'> {
  if (source.suspended !== null) return { phase: 'Suspended', message: source.suspended.reason };
  if (activity.trouble?.isStalled === true) return { phase: 'Stalled', message: activity.trouble.message };
  if (activity.busy !== undefined) return { phase: activity.busy, message: '' };
  if (activity.trouble !== undefined) return { phase: 'Failed', message: activity.trouble.message };
  switch (source.outcome) {
    case 'none':
      return { phase: 'Pending', message: source.message };
    case 'refused':
      return { phase: 'Refused', message: source.message };
    case 'applying':
      return { phase: 'Applying', message: source.message };
    case 'synced':
      return { phase: 'Synced', message: source.message };
    case 'failed':
      return { phase: 'Failed', message: source.message };
  }
}

/** Newest first, the one that is going as it stands now. */
export function runViews(pm: PackageManager, source: string): readonly SyncRun[] {
  const current = pm.runs.current(source);
  return pm.state.runs(source).map((run) => (run.id === current?.id ? current : run));
}

export function packageView(each: PackageState): PackageView {
  const { owner, spec } = each;
  return {
    ...spec,
    version: spec.version ?? null,
    metadata: { tags: [], ...spec.metadata },
    deployments: each.deployments.map((deployment) => ({ ...deployment })),
    origin: {
      type: owner.type,
      source: owner.type === 'git' ? owner.source : null,
      commit: each.commit,
      path: each.path === '' ? null : each.path,
      actor: each.actor,
    },
    digest: each.digest,
    created_at: each.createdAt,
    updated_at: each.updatedAt,
  };
}

export function clusterHealth(agent: ClusterAgent): ClusterView['health'] {
  const { health } = agent;
  const known = (['Healthy', 'Degraded', 'Unhealthy'] as const).find((status) => status === health?.status);
  return {
    cluster_name: agent.name,
    status: agent.isSynced ? (known ?? 'Unknown') : 'Unknown',
    crm_version: health?.crmVersion ?? null,
    last_seen: timeOrNull(agent.lastSeenMs),
    node_count: health?.nodeCount ?? null,
    ready_nodes: health?.readyNodes ?? null,
    availability: health?.availability ?? null,
  };
}

export function clusterViews(pm: PackageManager, records: RecordIndex): readonly ClusterView[] {
  const rows = records.all();
  return [...pm.agents.values()].map((agent) => {
    const own = rows.filter((row) => row.cluster_name === agent.name);
    return {
      name: agent.name,
      health: clusterHealth(agent),
      url: agent.config.url,
      connection: agent.connection,
      message: agent.message,
      kubernetes_version: agent.health?.kubernetesVersion ?? null,
      profile: agent.health?.profile ?? null,
      records: agent.observedCount,
      records_ready: own.filter((row) => row.axes.health.status === 'Healthy').length,
      queue_depth: agent.queueDepth,
      in_sync: agent.isSynced && own.every((row) => row.axes.sync.status === 'Synced'),
    };
  });
}

const attentionMax = 20;
const recentRunsMax = 10;
/** Applied commits that the percentiles are taken over. */
const appliedMax = 100;

export function overview(pm: PackageManager, records: RecordIndex): Overview {
  const rows = records.all();
  const sources = [...pm.state.sources()].map((source) => sourceView(pm, source));
  const agents = [...pm.agents.values()];
  const runs = sources
    .flatMap((source) => runViews(pm, source.name))
    .sort((a, b) => (a.started_at < b.started_at ? 1 : -1));
  const count = (test: (row: (typeof rows)[number]) => boolean) => rows.filter(test).length;
  const sum = (value: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + value(row), 0);
  return {
    sources: {
      total: sources.length,
      synced: sources.filter((source) => source.phase === 'Synced').length,
      attention: sources.filter((source) => troubled.has(source.phase)).length,
    },
    packages: pm.state.packageCount,
    records: {
      total: rows.length,
      synced: count((row) => row.axes.sync.status === 'Synced'),
      healthy: count((row) => row.axes.health.status === 'Healthy'),
      progressing: count((row) => row.axes.health.status === 'Progressing'),
      degraded: count((row) => row.axes.health.status === 'Degraded' || row.axes.health.status === 'Missing'),
      held: count((row) => row.hold !== null),
    },
    data: {
      objects: sum((row) => row.axes.data.objects ?? 0),
      bytes: sum((row) => row.axes.data.bytes ?? 0),
      shards_ready: sum((row) => row.axes.data.shards_ready),
      shards_total: sum((row) => row.axes.data.shards_total),
    },
    clusters: { total: agents.length, connected: agents.filter((agent) => agent.connection === 'Connected').length },
    commit_to_applied_ms: appliedTimes(runs),
    recent_runs: runs.slice(0, recentRunsMax),
    attention: attentionOf(sources, rows, agents),
  };
}

const troubled: ReadonlySet<Source['phase']> = new Set(['Refused', 'Failed', 'Stalled']);

function appliedTimes(runs: readonly SyncRun[]): Overview['commit_to_applied_ms'] {
  const newest = runs.filter((run) => run.phase === 'Succeeded' && run.duration_ms !== null).slice(0, appliedMax);
  const times = newest.map((run) => run.duration_ms ?? 0).sort((a, b) => a - b);
  // By nearest rank.
  const percentile = (share: number) => times[Math.max(0, Math.ceil(times.length * share) - 1)] ?? null;
  return { p50: percentile(0.5), p95: percentile(0.95), last: newest[0]?.duration_ms ?? null };
}

function attentionOf(
  sources: readonly Source[],
  rows: ReturnType<RecordIndex['all']>,
  agents: readonly ClusterAgent[],
): Overview['attention'] {
  const found: Overview['attention'] = [];
  for (const agent of agents) {
    if (agent.connection === 'Connected' || agent.connection === 'Connecting') continue;
    found.push({
      severity: 'error',
      title: `Cluster ${agent.name} cannot be reached`,
      detail: agent.message,
      link: '/clusters',
    });
  }
  for (const source of sources) {
    if (!troubled.has(source.phase)) continue;
    found.push({
      severity: 'error',
      title: `Source ${source.name}: ${source.phase}`,
      detail: source.message,
      link: `/sources/${source.name}`,
    });
  }
  for (const row of rows) {
    if (found.length >= attentionMax * 2) break;
    const title = `${row.package_name}.${row.class_key} in ${row.target_environment}`;
    const link = `/deployments/${row.id}`;
    if (row.axes.sync.status === 'Failed')
      found.push({ severity: 'error', title, detail: row.axes.sync.message, link });
    else if (row.axes.health.status === 'Degraded')
      found.push({ severity: 'error', title, detail: row.axes.health.message, link });
    else if (row.axes.data.status === 'Unavailable')
      found.push({ severity: 'error', title, detail: row.axes.data.message, link });
    else if (row.hold !== null) found.push({ severity: 'warning', title, detail: row.hold.reason, link });
  }
  return found.sort((a, b) => (a.severity === b.severity ? 0 : a.severity === 'error' ? -1 : 1)).slice(0, attentionMax);
}
