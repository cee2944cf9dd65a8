import type { Axes, DeploymentRecordDetail, DeploymentRecordView, ResourceView } from '@oaas/commons/client/pm';
import type { deployment } from '@oaas/proto';
import { toRfc3339 } from '@oaas/commons/time';
import type { ClusterAgent, Observed } from '../cluster/agent.ts';
import type { UnitState } from '../model/state.ts';

/** What is known of one class in one environment: what is wanted, what is there, and how its cluster does. */
export interface RecordFacts {
  readonly id: string;
  readonly cluster: string;
  readonly unit: UnitState | undefined;
  readonly observed: Observed | undefined;
  readonly agent: ClusterAgent | undefined;
}

export function recordView(facts: RecordFacts): DeploymentRecordView {
  const { id, cluster, unit, observed } = facts;
  const spec = unit?.spec;
  const source = observed?.source;
  const createdAt = textOr(observed?.createdAt, unit?.createdAt);
  const updatedAt = textOr(observed?.updatedAt, unit?.updatedAt);
  return {
    id,
    deployment_unit_id: id,
    package_name: spec?.package_name ?? observed?.packageName ?? '',
    class_key: spec?.class_key ?? observed?.classKey ?? '',
    target_environment: cluster,
    cluster_name: cluster,
    status: {
      condition: textOr(observed?.condition, 'Pending'),
      phase: textOr(observed?.phase, 'TemplateSelection'),
      message: observed === undefined || observed.message === '' ? null : observed.message,
      last_updated: updatedAt,
    },
    resource_refs: (observed?.resources ?? []).map(({ kind, name, namespace, uid }) => ({
      kind,
      name,
      namespace,
      uid,
    })),
    partition_count: partitions(facts),
    created_at: createdAt,
    updated_at: updatedAt,
    deployment_key: unit?.deploymentKey ?? '',
    axes: axesOf(facts),
    source: unit === undefined ? textOrNull(source?.source) : unit.owner.type === 'git' ? unit.owner.source : null,
    commit: unit === undefined ? textOrNull(source?.commit) : unit.commit,
    path: unit === undefined ? textOrNull(source?.path) : textOrNull(unit.path),
    generation: unit?.generation ?? 0,
    desired_digest: unit?.intent === 'apply' ? unit.digest : null,
    observed_digest: textOrNull(source?.digest),
    hold:
      unit?.hold === null || unit?.hold === undefined ? null : { reason: unit.hold.reason, confirm: unit.hold.confirm },
    template: textOrNull(observed?.selectedTemplate) ?? unit?.spec.template ?? '',
  };
}

export function recordDetail(facts: RecordFacts): DeploymentRecordDetail {
  const { observed, unit } = facts;
  return {
    ...recordView(facts),
    conditions: (observed?.conditions ?? []).map((each) => ({
      type: each.type,
      status: each.status === 'True' || each.status === 'False' ? each.status : 'Unknown',
      reason: each.reason,
      message: each.message,
      last_transition_time: each.lastTransitionTime,
      observed_generation: each.observedGeneration,
    })),
    resources: (observed?.resources ?? []).map(resourceView),
    events: (observed?.events ?? []).map((each) => ({
      type: each.type,
      reason: each.reason,
      message: each.message,
      count: each.count,
      first_seen: each.firstSeen,
      last_seen: each.lastSeen,
      regarding: each.regarding,
    })),
    endpoints: (observed?.endpoints ?? []).map(({ name, protocol, address }) => ({ name, protocol, address })),
    functions: (observed?.functions ?? []).map((each) => ({
      function_key: each.functionKey,
      service: each.service,
      ready: each.ready ?? null,
      reason: each.reason ?? null,
      message: each.message ?? null,
    })),
    collections: (observed?.grid?.collections ?? []).map((each) => ({
      name: each.name,
      shard_type: each.shardType,
      partition_count: each.partitionCount,
      replica_count: each.replicaCount,
      objects: each.objects,
      bytes: each.bytes,
      shards_ready: each.shardsReady,
    })),
    desired: unit?.intent === 'apply' ? unit.spec : null,
  };
}

export function axesOf(facts: RecordFacts): Axes {
  return { sync: syncOf(facts), health: healthOf(facts), data: dataOf(facts), nfr: nfrOf(facts) };
}

function syncOf({ unit, observed, agent, id, cluster }: RecordFacts): Axes['sync'] {
  if (unit === undefined) return { status: 'OutOfSync', message: 'No source wants this record; PM leaves it alone.' };
  if (unit.hold !== null) return { status: 'OutOfSync', message: `Waits for a confirmation. ${unit.hold.reason}` };
  if (unit.intent === 'keep')
    return { status: 'OutOfSync', message: 'No longer in the repository; kept by the prune policy.' };
  if (agent === undefined) return { status: 'OutOfSync', message: `No cluster is called "${cluster}"; it waits.` };
  const failure = agent.failure(id);
  if (failure !== undefined && agent.isSynced) return { status: 'Failed', message: failure.message };
  if (!agent.isSynced) return { status: 'Unknown', message: `The cluster cannot be reached. ${agent.message}` };
  if (unit.intent === 'delete') return { status: 'Applying', message: 'It is being removed.' };
  if (observed?.source?.digest === unit.digest && !observed.deleting)
    return { status: 'Synced', message: `The cluster has ${wantedBy(unit)}.` };
  return {
    status: 'Applying',
    message: observed === undefined ? 'The cluster does not have it yet.' : 'The cluster has an older state.',
  };
}

function wantedBy({ owner, commit }: UnitState): string {
  if (owner.type === 'api') return 'what was given by the API';
  return `what ${owner.source} wants${commit === null ? '' : ` at ${commit.slice(0, 8)}`}`;
}

function healthOf({ observed, agent, unit }: RecordFacts): Axes['health'] {
  if (observed === undefined) {
    return agent?.isSynced === true
      ? { status: 'Missing', message: 'The cluster has no record.' }
      : { status: 'Unknown', message: 'The cluster cannot be asked.' };
  }
  if (agent?.isSynced !== true)
    return {
      status: 'Unknown',
      message: 'The cluster cannot be reached; what is shown is from when it was last seen.',
    };
  if (observed.deleting) return { status: 'Progressing', message: 'It is being removed.' };
  const condition = (type: string) => observed.conditions.find((each) => each.type === type);
  const bad = ['Stalled', 'Degraded'].map(condition).find((each) => each?.status === 'True');
  const ready = condition('Ready');
  if (bad !== undefined) return { status: 'Degraded', message: bad.message };
  if (ready?.reason === 'Suspended') return { status: 'Suspended', message: ready.message };
  const isCurrent =
    unit === undefined || observed.observedGeneration === 0 || observed.observedGeneration >= observed.generation;
  if (ready?.status === 'True' && isCurrent) return { status: 'Healthy', message: ready.message };
  if (observed.condition === 'Failed') return { status: 'Degraded', message: observed.message };
  return { status: 'Progressing', message: ready?.message ?? observed.message };
}

function dataOf({ observed, agent }: RecordFacts): Axes['data'] {
  const grid = observed?.grid;
  if (grid === undefined) {
    const message = observed === undefined ? 'There is no grid.' : 'The grid has not been heard of yet.';
    return {
      status: 'Unknown',
      message,
      objects: null,
      bytes: null,
      shards_ready: 0,
      shards_total: 0,
      members_ready: 0,
      members_total: 0,
      observed_at: null,
    };
  }
  const hasBeenSeen = grid.observedAt !== '';
  const numbers = {
    objects: hasBeenSeen ? grid.objects : null,
    bytes: hasBeenSeen ? grid.bytes : null,
    shards_ready: grid.shardsReady,
    shards_total: grid.shardsTotal,
    members_ready: grid.membersReady,
    members_total: grid.membersTotal,
    observed_at: textOrNull(grid.observedAt),
  };
  if (agent?.isSynced !== true || !hasBeenSeen)
    return { ...numbers, status: 'Unknown', message: 'The grid cannot be asked.' };
  const message = `${String(grid.shardsReady)} of ${String(grid.shardsTotal)} shards and ${String(grid.membersReady)} of ${String(grid.membersTotal)} nodes are ready.`;
  if (grid.shardsTotal > 0 && grid.shardsReady === grid.shardsTotal && grid.membersReady === grid.membersTotal) {
    return { ...numbers, status: 'Healthy', message };
  }
  return { ...numbers, status: grid.shardsReady === 0 ? 'Unavailable' : 'Degraded', message };
}

function nfrOf({ unit, observed }: RecordFacts): Axes['nfr'] {
  const nfr = unit?.spec.nfr_requirements;
  const wanted = {
    min_throughput_rps: nfr?.min_throughput_rps ?? null,
    max_latency_ms: nfr?.max_latency_ms ?? null,
    availability: nfr?.availability ?? null,
  };
  if (Object.values(wanted).every((each) => each === null))
    return { ...wanted, status: 'NotRequired', message: 'Its deployment sets no requirement.' };
  const compliant = observed?.conditions.find((each) => each.type === 'NfrCompliant');
  if (compliant?.status === 'True') return { ...wanted, status: 'Compliant', message: compliant.message };
  if (compliant?.status === 'False') return { ...wanted, status: 'Violated', message: compliant.message };
  return { ...wanted, status: 'NotMeasured', message: 'The requirements are not measured.' };
}

function resourceView(each: deployment.ResourceStatus): ResourceView {
  const { kind, name, namespace, uid, message, restarts } = each;
  const known = ['Healthy', 'Progressing', 'Degraded'] as const;
  const health = known.find((status) => status === each.health) ?? 'Unknown';
  return {
    kind,
    name,
    namespace,
    uid,
    parent_uid: each.parentUid,
    health,
    message,
    created_at: each.createdAt,
    restarts,
  };
}

function partitions({ unit, observed }: RecordFacts): number {
  const ofGrid = observed?.grid?.collections[0]?.partitionCount;
  return ofGrid ?? unit?.layout.collections[0]?.partitionCount ?? 0;
}

function textOr(text: string | undefined, fallback: string | undefined): string {
  return text === undefined || text === '' ? (fallback ?? toRfc3339(0)) : text;
}
function textOrNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
