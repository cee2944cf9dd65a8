import type {
  AuditRecordView,
  Axes,
  ClusterView,
  Commit,
  Condition,
  DeploymentRecordDetail,
  DocumentVerdict,
  GridLayoutView,
  GridView,
  PackageView,
  Plan,
  PlanSummary,
  Source,
  SyncRun,
  UnitChange,
} from '@oaas/commons/client/pm';

/** Everything that the fixture PM knows. Mutable: actions change it. */
export interface Fixtures {
  sources: Source[];
  runs: SyncRun[];
  plans: Map<string, Plan>;
  packages: PackageView[];
  records: DeploymentRecordDetail[];
  clusters: ClusterView[];
  grids: Map<string, GridView>;
  audit: AuditRecordView[];
}

const minute = 60_000;
const hour = 60 * minute;

export function makeFixtures(now: number, fleet = 120): Fixtures {
  const ago = (ms: number) => new Date(now - ms).toISOString();
  const commits = {
    newest: commit(
      '9f2c41d07be8a3155c0e6d1f7a9b3c28e4d50617',
      'Give the counter four partitions in cloud\n\nMeasured 2,100 calls/s on two.',
      'Mira Okafor <mira@example.org>',
      ago(3 * minute),
    ),
    older: commit(
      '41b7e0a95d2c8f36e7710bd4c9a852f03e61bd7a',
      'Add the chat rooms',
      'Jonas Lind <jonas@example.org>',
      ago(5 * hour),
    ),
    oldest: commit(
      'c07d33ae81f5924b6a0ce9d1587b2f460ea93d15',
      'Greet in two environments',
      'Mira Okafor <mira@example.org>',
      ago(52 * hour),
    ),
    broken: commit(
      'e5a9d2714c3b06f88d1e42ab97c5f0316b7de824',
      'Rename the fields of the sensor package',
      'Ada Brandt <ada@example.org>',
      ago(11 * minute),
    ),
    edge: commit(
      '77d1f0c2ab94e6350f8c1d27be9043a6c5e8b1f2',
      'Raise sensor throughput',
      'Ada Brandt <ada@example.org>',
      ago(26 * hour),
    ),
  };
  const summaries = {
    change: summary({ create: 1, update: 2, unchanged: 4, hold: 1 }),
    first: summary({ create: 5 }),
    none: summary({ unchanged: 5 }),
    refused: summary({ refused: 2, unchanged: 120 }),
  };

  const records = [
    record(ago, 'hello', 'Greeter', 'cloud', commits.newest.id, {
      objects: 3,
      functions: ['Greeter.greet', 'Greeter.echo'],
    }),
    record(ago, 'hello', 'Greeter', 'edge', commits.newest.id, {
      objects: 0,
      functions: ['Greeter.greet', 'Greeter.echo'],
    }),
    record(ago, 'counter', 'Counter', 'cloud', commits.newest.id, {
      objects: 48_210,
      partitions: 12,
      replicas: 2,
      members: 3,
      functions: ['Counter.increment', 'Counter.reset', 'Counter.value'],
      axes: {
        sync: { status: 'Applying', message: 'Generation 7 is on its way to cloud.' },
        health: { status: 'Progressing', message: 'StatefulSet counter-grid: 2 of 3 pods are ready.' },
      },
      members_ready: 2,
    }),
    record(ago, 'counter', 'Counter', 'edge', commits.newest.id, {
      objects: 812,
      functions: ['Counter.increment', 'Counter.reset', 'Counter.value'],
    }),
    record(ago, 'chat', 'Room', 'cloud', commits.newest.id, {
      objects: 1_284,
      partitions: 8,
      replicas: 3,
      members: 3,
      functions: ['Room.post', 'Room.history', 'Room.join'],
      axes: {
        nfr: {
          status: 'Violated',
          message: 'p99 latency 41 ms is above 20 ms for 4 min.',
          min_throughput_rps: 500,
          max_latency_ms: 20,
          availability: 0.999,
        },
      },
    }),
    record(ago, 'chat', 'User', 'cloud', commits.newest.id, { objects: 310, functions: ['User.say'] }),
    record(ago, 'example', 'Record', 'edge', commits.older.id, {
      objects: 15_904,
      functions: ['Record.echo', 'Record.random'],
      hold: {
        reason: 'It is no longer in the repository, but its shards hold 15904 objects.',
        confirm: 'delete example/Record in edge',
      },
      axes: { sync: { status: 'OutOfSync', message: 'No longer in Git; waits for a confirmation.' } },
      undesired: true,
    }),
    ...Array.from({ length: fleet }, (_, index) =>
      record(
        ago,
        `fleet-${String(index).padStart(3, '0')}`,
        'Sensor',
        index % 3 === 0 ? 'cloud' : index % 3 === 1 ? 'edge' : 'lab',
        commits.edge.id,
        {
          source: 'edge-apps',
          objects: index * 37,
          functions: ['Sensor.ingest'],
          ...(index % 17 === 5
            ? {
                axes: {
                  health: { status: 'Degraded' as const, message: 'Pod sensor-grid-0 restarts: CrashLoopBackOff.' },
                  data: { status: 'Degraded' as const, message: '1 of 1 shards is not ready.' },
                },
                members_ready: 0,
              }
            : {}),
          ...(index % 3 === 2
            ? {
                axes: {
                  sync: { status: 'Unknown' as const, message: 'lab is not connected.' },
                  health: { status: 'Unknown' as const, message: 'lab is not connected.' },
                  data: { status: 'Unknown' as const, message: 'lab is not connected.' },
                },
              }
            : {}),
        },
      ),
    ),
  ];

  const source = (name: string, change: Partial<Source>): Source => ({
    name,
    url: `http://127.0.0.1:7410/${name}.git`,
    ref: { branch: 'main' },
    path: '',
    interval_seconds: 15,
    timeout_seconds: 30,
    prune: 'keep',
    auth_type: 'basic',
    auth_username: 'gitops',
    webhook: { path: `/api/v1/webhooks/${name}`, secret_set: true, last_delivery_at: ago(3 * minute) },
    suspended: null,
    pinned: null,
    phase: 'Synced',
    message: 'Every cluster has the newest commit.',
    conditions: [
      condition('Ready', 'True', 'ReconciliationSucceeded', 'Applied revision main@sha1:9f2c41d0.', ago(3 * minute)),
      condition('SourceReachable', 'True', 'GitOperationSucceeded', 'The repository answered in 9 ms.', ago(50 * hour)),
    ],
    observed_commit: commits.older,
    attempted_commit: commits.older,
    applied_commit: commits.older,
    last_checked_at: ago(4_000),
    next_check_at: new Date(now + 11_000).toISOString(),
    plan_id: null,
    plan_summary: summaries.none,
    packages: 1,
    created_at: ago(60 * hour),
    updated_at: ago(3 * minute),
    ...change,
  });

  const plan: Plan = {
    id: 'plan-gitops-9f2c41d0',
    source: 'gitops',
    commit: commits.newest,
    created_at: ago(3 * minute - 300),
    verdict: 'held',
    summary: summaries.change,
    documents: [
      document('hello/package.yaml', 'hello'),
      document('counter/package.yaml', 'counter'),
      document('counter/edge.yaml', 'counter-edge', 'Overlay'),
      document('chat/package.yaml', 'chat', 'Package', [
        {
          severity: 'warning',
          code: 'PackageInvalid',
          message: 'Environment "lab-2" is not known; the deployment waits until it is',
          remedy: 'Register the cluster, or take "lab-2" out of target_envs.',
          path: 'chat/package.yaml',
          line: 58,
          column: 9,
          field: 'deployments[0].target_envs[1]',
        },
      ]),
      { path: '.github/workflow.yaml', line: 1, kind: 'Unknown', name: 'workflow', verdict: 'ignored', problems: [] },
    ],
    units: planUnits(records),
  };
  const refusedPlan: Plan = {
    id: 'plan-edge-apps-e5a9d271',
    source: 'edge-apps',
    commit: commits.broken,
    created_at: ago(11 * minute),
    verdict: 'refused',
    summary: summaries.refused,
    documents: [
      document('fleet/sensor.yaml', 'sensor', 'Package', [
        {
          severity: 'error',
          code: 'PackageInvalid',
          message: 'Unknown key "replicas_count"; did you mean "replica_count"?',
          remedy: 'Rename the key to replica_count, or remove it.',
          path: 'fleet/sensor.yaml',
          line: 34,
          column: 7,
          field: 'deployments[0].odgm.replicas_count',
          frame: {
            line: 32,
            lines: [
              '    odgm:',
              '      partition_count: 4',
              '      replicas_count: 3',
              '      shard_type: raft',
              '    nfr_requirements:',
            ],
          },
        },
        {
          severity: 'error',
          code: 'PackageInvalid',
          message: 'Binding "ingest" names the function "Sensor.ingests", which the package does not have',
          remedy: 'Write one of the functions of the package: Sensor.ingest.',
          path: 'fleet/sensor.yaml',
          line: 12,
          column: 21,
          field: 'classes[0].function_bindings[0].function_key',
        },
      ]),
      document('fleet/broken.yaml', 'broken', 'Unknown', [
        {
          severity: 'error',
          code: 'YamlInvalid',
          message: 'A mapping value is not allowed here',
          remedy: 'Check the indentation of this line against the line before it.',
          path: 'fleet/broken.yaml',
          line: 3,
          column: 14,
          frame: {
            line: 1,
            lines: ['name: broken', 'classes:', '  - key: A    description: B', '    function_bindings: []'],
          },
        },
      ]),
    ],
    units: [],
  };

  const sources = [
    source('gitops', {
      phase: 'Applying',
      message: 'edge has it; cloud is at 3 of 5.',
      observed_commit: commits.newest,
      attempted_commit: commits.newest,
      applied_commit: commits.older,
      plan_id: plan.id,
      plan_summary: plan.summary,
      packages: 4,
      prune: 'delete',
    }),
    source('edge-apps', {
      phase: 'Refused',
      message: '2 documents are refused: fleet/sensor.yaml, fleet/broken.yaml. Nothing of this commit is applied.',
      observed_commit: commits.broken,
      attempted_commit: commits.broken,
      applied_commit: commits.edge,
      plan_id: refusedPlan.id,
      plan_summary: refusedPlan.summary,
      packages: fleet,
      path: 'fleet',
      conditions: [
        condition('Ready', 'False', 'ReconciliationFailed', '2 documents are refused.', ago(11 * minute)),
        condition(
          'SourceReachable',
          'True',
          'GitOperationSucceeded',
          'The repository answered in 14 ms.',
          ago(80 * hour),
        ),
      ],
    }),
    source('catalog', { packages: 6 }),
    source('platform', {
      ref: { tag: 'v1.4.0' },
      suspended: { by: 'admin', reason: 'Change freeze until Monday', at: ago(20 * hour) },
      phase: 'Suspended',
      message: 'Suspended by admin.',
    }),
    source('archive', {
      phase: 'Stalled',
      message:
        'The repository cannot be reached: connect ECONNREFUSED 127.0.0.1:7499. Tried 14 times; next try in 48 s.',
      url: 'http://127.0.0.1:7499/archive.git',
      last_checked_at: ago(12_000),
      webhook: { path: '/api/v1/webhooks/archive', secret_set: false, last_delivery_at: null },
      conditions: [
        condition('Ready', 'False', 'GitOperationFailed', 'connect ECONNREFUSED 127.0.0.1:7499', ago(14 * minute)),
        condition('Stalled', 'True', 'GitOperationFailed', 'Retries back off up to 5 min.', ago(14 * minute)),
      ],
    }),
  ];

  const run = (
    id: string,
    sourceName: string,
    at: Commit,
    phase: SyncRun['phase'],
    msAgo: number,
    extra: Partial<SyncRun> = {},
  ): SyncRun => ({
    id,
    source: sourceName,
    commit: at,
    trigger: 'webhook',
    actor: at.author.split(' ')[0]?.toLowerCase() ?? 'webhook',
    phase,
    message: '',
    plan_id: plan.id,
    summary: summaries.none,
    clusters: ['cloud', 'edge'].map((environment) => ({
      environment,
      total: 5,
      applied: 5,
      failed: 0,
      phase: 'Applied',
      message: '',
    })),
    started_at: ago(msAgo),
    finished_at: ago(msAgo - 640),
    duration_ms: 640,
    ...extra,
  });
  const runs = [
    run('run-12', 'gitops', commits.newest, 'Running', 3 * minute, {
      summary: summaries.change,
      finished_at: null,
      duration_ms: null,
      clusters: [
        { environment: 'cloud', total: 5, applied: 3, failed: 0, phase: 'Applying', message: '' },
        { environment: 'edge', total: 3, applied: 3, failed: 0, phase: 'Applied', message: '' },
        {
          environment: 'lab',
          total: 2,
          applied: 0,
          failed: 0,
          phase: 'Unreachable',
          message: 'Waits: the CRM of lab does not answer.',
        },
      ],
    }),
    run('run-11', 'edge-apps', commits.broken, 'Refused', 11 * minute, {
      summary: summaries.refused,
      clusters: [],
      duration_ms: 38,
      message: '2 documents are refused.',
    }),
    run('run-10', 'gitops', commits.older, 'Succeeded', 5 * hour, { summary: summaries.first, duration_ms: 812 }),
    run('run-9', 'gitops', commits.older, 'Succeeded', 6 * hour, { trigger: 'poll', actor: 'pm', duration_ms: 431 }),
    run('run-8', 'edge-apps', commits.edge, 'Succeeded', 26 * hour, {
      trigger: 'manual',
      actor: 'admin',
      duration_ms: 1_730,
      summary: summary({ update: 120 }),
    }),
    run('run-7', 'gitops', commits.oldest, 'Superseded', 52 * hour, { duration_ms: 120 }),
    run('run-6', 'gitops', commits.oldest, 'Succeeded', 52 * hour, {
      trigger: 'startup',
      actor: 'pm',
      duration_ms: 998,
      summary: summaries.first,
    }),
    ...Array.from({ length: 60 }, (_, index) =>
      run(`run-old-${String(index)}`, 'gitops', commits.oldest, 'Succeeded', (60 + index) * hour, {
        trigger: 'poll',
        actor: 'pm',
        duration_ms: 300 + index,
      }),
    ),
  ];

  return {
    sources,
    runs,
    plans: new Map([
      [plan.id, plan],
      [refusedPlan.id, refusedPlan],
    ]),
    packages: makePackages(records, commits.newest.id, ago),
    records,
    clusters: makeClusters(records, ago),
    grids: new Map(records.map((each) => [`${each.target_environment}/${each.id}`, makeGrid(each, now)])),
    audit: makeAudit(ago),
  };
}

function commit(id: string, message: string, author: string, at: string): Commit {
  return { id, ref: 'main', message, author, committed_at: at };
}

function summary(change: Partial<PlanSummary>): PlanSummary {
  return { create: 0, update: 0, unchanged: 0, prune: 0, keep: 0, hold: 0, refused: 0, ...change };
}

function condition(type: string, status: Condition['status'], reason: string, message: string, at: string): Condition {
  return { type, status, reason, message, last_transition_time: at, observed_generation: 7 };
}

function document(
  path: string,
  name: string,
  kind: DocumentVerdict['kind'] = 'Package',
  problems: DocumentVerdict['problems'] = [],
): DocumentVerdict {
  return {
    path,
    line: 1,
    kind,
    name,
    verdict: problems.some((problem) => problem.severity === 'error') ? 'refused' : 'accepted',
    problems,
  };
}

interface RecordOptions {
  readonly objects: number;
  readonly functions: readonly string[];
  readonly partitions?: number;
  readonly replicas?: number;
  readonly members?: number;
  readonly members_ready?: number;
  readonly source?: string;
  readonly hold?: DeploymentRecordDetail['hold'];
  readonly undesired?: boolean;
  readonly axes?: {
    readonly sync?: Partial<Axes['sync']>;
    readonly health?: Partial<Axes['health']>;
    readonly data?: Partial<Axes['data']>;
    readonly nfr?: Partial<Axes['nfr']>;
  };
}

function record(
  ago: (ms: number) => string,
  packageName: string,
  classKey: string,
  environment: string,
  commitId: string,
  options: RecordOptions,
): DeploymentRecordDetail {
  const { partitions = 4, replicas = 1, members = 1 } = options;
  const ready = options.members_ready ?? members;
  const id = `${packageName}-${classKey.toLowerCase()}-${environment}`;
  const shardsReady = Math.round(partitions * (ready / members));
  const axes: Axes = {
    sync: { status: 'Synced', message: 'The record is what Git wants.', ...options.axes?.sync },
    health: { status: 'Healthy', message: 'Every workload is ready.', ...options.axes?.health },
    data: {
      status: ready === members ? 'Healthy' : 'Degraded',
      message:
        ready === members
          ? 'Every shard is ready.'
          : `${String(partitions - shardsReady)} of ${String(partitions)} shards are not ready.`,
      objects: options.objects,
      bytes: options.objects * 412,
      shards_ready: shardsReady,
      shards_total: partitions,
      members_ready: ready,
      members_total: members,
      observed_at: ago(3_000),
      ...options.axes?.data,
    },
    nfr: {
      status: 'NotRequired',
      message: 'No requirement is set.',
      min_throughput_rps: null,
      max_latency_ms: null,
      availability: null,
      ...options.axes?.nfr,
    },
  };
  const digest = `sha256:${id}`;
  const health =
    axes.health.status === 'Healthy'
      ? 'Healthy'
      : axes.health.status === 'Degraded'
        ? 'Degraded'
        : axes.health.status === 'Progressing'
          ? 'Progressing'
          : 'Unknown';
  const resource = (
    kind: string,
    name: string,
    parent: string,
    extra: Partial<DeploymentRecordDetail['resources'][number]> = {},
  ) => ({
    kind,
    name,
    namespace: 'default',
    uid: `${id}/${kind}/${name}`,
    parent_uid: parent,
    health: 'Healthy' as const,
    message: '',
    created_at: ago(5 * hour),
    restarts: 0,
    ...extra,
  });
  const set = `${id}/StatefulSet/${id}-grid`;
  const resources = [
    resource('ConfigMap', `${id}-grid`, id),
    resource('Service', `${id}-grid`, id),
    resource('Service', `${id}-peers`, id),
    resource('StatefulSet', `${id}-grid`, id, {
      health,
      message: `${String(ready)} of ${String(members)} pods are ready`,
    }),
    ...Array.from({ length: members }, (_, index) =>
      resource(
        'Pod',
        `${id}-grid-${String(index)}`,
        set,
        index < ready
          ? { message: 'Running' }
          : {
              health,
              message: health === 'Degraded' ? 'CrashLoopBackOff' : 'ContainerCreating',
              restarts: health === 'Degraded' ? 7 : 0,
            },
      ),
    ),
    resource('Deployment', `${id}-fn`, id, { message: `${String(options.functions.length)} containers` }),
    resource('Pod', `${id}-fn-6c9f7d-x2k4p`, `${id}/Deployment/${id}-fn`, { message: 'Running' }),
    resource('Service', `${id}-fn`, id),
  ];
  return {
    id,
    deployment_unit_id: id,
    package_name: packageName,
    class_key: classKey,
    target_environment: environment,
    cluster_name: environment,
    status: {
      condition: ready === members ? 'Running' : 'Provisioning',
      phase: ready === members ? 'Ready' : 'PodScheduling',
      message: null,
      last_updated: ago(20_000),
    },
    resource_refs: resources.slice(0, 4).map(({ kind, name, namespace, uid }) => ({ kind, name, namespace, uid })),
    partition_count: partitions,
    created_at: ago(5 * hour),
    updated_at: ago(20_000),
    deployment_key: packageName,
    axes,
    source: options.source ?? 'gitops',
    commit: commitId,
    path: `${packageName}/package.yaml`,
    generation: 7,
    desired_digest: options.undesired === true ? null : digest,
    observed_digest: axes.sync.status === 'Applying' ? `${digest}-before` : digest,
    hold: options.hold ?? null,
    template: 'k8s_deployment',
    conditions: [
      condition(
        'Ready',
        ready === members ? 'True' : 'False',
        ready === members ? 'ReconciliationSucceeded' : 'Progressing',
        axes.health.message,
        ago(20_000),
      ),
      ...(ready === members
        ? []
        : [condition('Reconciling', 'True', 'Progressing', 'Waits for pods of the grid.', ago(20_000))]),
      condition(
        'Available',
        ready > 0 ? 'True' : 'False',
        ready > 0 ? 'MinimumReplicasAvailable' : 'NoReplica',
        'Calls are answered.',
        ago(5 * hour),
      ),
      condition(
        'GridHealthy',
        axes.data.status === 'Healthy' ? 'True' : 'False',
        'ShardsObserved',
        axes.data.message,
        ago(3_000),
      ),
      condition('NfrObserved', 'False', 'NotRequired', 'No requirement is set.', ago(5 * hour)),
    ],
    resources,
    events: [
      {
        type: 'Normal',
        reason: 'ResourceCreated',
        message: `StatefulSet ${id}-grid is created`,
        count: 1,
        first_seen: ago(5 * hour),
        last_seen: ago(5 * hour),
        regarding: `DeploymentRecord/${id}`,
      },
      {
        type: 'Normal',
        reason: 'ReconciliationSucceeded',
        message: 'Every workload is ready',
        count: 3,
        first_seen: ago(5 * hour),
        last_seen: ago(20_000),
        regarding: `DeploymentRecord/${id}`,
      },
      ...(health === 'Degraded'
        ? [
            {
              type: 'Warning',
              reason: 'BackOff',
              message: 'Back-off restarting failed container odgm',
              count: 41,
              first_seen: ago(2 * hour),
              last_seen: ago(9_000),
              regarding: `Pod/${id}-grid-0`,
            },
          ]
        : []),
    ],
    endpoints: [{ name: 'grid', protocol: 'grpc', address: 'http://127.0.0.1:7512' }],
    functions: options.functions.map((key) => ({
      function_key: key,
      service: `http://${id}-fn.default.svc:8080`,
      ready: health === 'Unknown' ? null : true,
      reason: null,
      message: null,
    })),
    collections: [
      {
        name: `${packageName}.${classKey}`,
        shard_type: 'basic',
        partition_count: partitions,
        replica_count: replicas,
        objects: options.objects,
        bytes: options.objects * 412,
        shards_ready: shardsReady,
      },
    ],
    desired:
      options.undesired === true
        ? null
        : {
            id,
            package_name: packageName,
            class_key: classKey,
            target_env: environment,
            function_bindings: options.functions.map((key) => ({
              name: key.split('.')[1],
              function_key: key,
              stateless: false,
            })),
            functions: options.functions,
            odgm_config: { partition_count: partitions, replica_count: replicas, shard_type: 'basic' },
          },
  };
}

function layout(nodes: number, name: string, partitions: number, replicas: number): GridLayoutView {
  return {
    node_count: nodes,
    collections: [{ name, shard_type: 'basic', partition_count: partitions, replica_count: replicas }],
  };
}

function planUnits(records: readonly DeploymentRecordDetail[]): UnitChange[] {
  return records
    .filter((each) => each.source === 'gitops')
    .map((each): UnitChange => {
      const name = `${each.package_name}.${each.class_key}`;
      const base = {
        unit_id: each.id,
        package_name: each.package_name,
        class_key: each.class_key,
        environment: each.target_environment,
        deployment_key: each.deployment_key,
        path: each.path ?? '',
        changes: [],
        confirm: null,
      };
      const same = layout(
        each.axes.data.members_total,
        name,
        each.partition_count,
        each.collections[0]?.replica_count ?? 1,
      );
      const still = {
        before: same,
        after: same,
        shards_added: 0,
        shards_removed: 0,
        replicas_added: 0,
        replicas_removed: 0,
        objects: each.axes.data.objects,
        effect: 'Objects stay where they are.',
      };
      if (each.hold !== null) {
        return {
          ...base,
          action: 'hold',
          reason: each.hold.reason,
          confirm: each.hold.confirm,
          data: {
            ...still,
            after: null,
            shards_removed: 4,
            replicas_removed: 4,
            effect: 'It keeps running unless confirmed; its volumes stay even then.',
          },
        };
      }
      if (name === 'counter.Counter' && each.target_environment === 'cloud') {
        return {
          ...base,
          action: 'update',
          reason: '3 fields differ.',
          changes: [
            { path: 'odgm_config.partition_count', before: 4, after: 12 },
            { path: 'odgm_config.replica_count', before: 1, after: 2 },
            { path: 'functions[0].config.LOG_LEVEL', after: 'debug' },
          ],
          data: {
            before: layout(1, name, 4, 1),
            after: same,
            shards_added: 8,
            shards_removed: 0,
            replicas_added: 20,
            replicas_removed: 0,
            objects: 0,
            effect: 'The grid holds no objects and is laid out anew.',
          },
        };
      }
      if (name === 'chat.Room') {
        return {
          ...base,
          action: 'update',
          reason: '1 field differs.',
          changes: [
            {
              path: 'functions[1].provision_config.container_image',
              before: 'oaas/example-chat-room:1',
              after: 'oaas/example-chat-room:2',
            },
          ],
          data: still,
        };
      }
      if (name === 'chat.User') {
        return {
          ...base,
          action: 'create',
          reason: 'It is new in the repository.',
          data: {
            ...still,
            before: null,
            shards_added: 4,
            replicas_added: 4,
            objects: null,
            effect: 'A new grid is laid out; volumes of an earlier one are found again.',
          },
        };
      }
      return { ...base, action: 'unchanged', reason: 'Nothing differs.', data: still };
    });
}

function makePackages(
  records: readonly DeploymentRecordDetail[],
  commitId: string,
  ago: (ms: number) => string,
): PackageView[] {
  const names = [...new Set(records.map((each) => each.package_name))];
  return names.map((name): PackageView => {
    const own = records.filter((each) => each.package_name === name);
    const classes = [...new Set(own.map((each) => each.class_key))];
    return {
      name,
      version: '1.0',
      metadata: { author: 'Mira Okafor', description: `What ${name} needs to run`, tags: ['example'] },
      classes: classes.map((key) => {
        const functions = own.find((each) => each.class_key === key)?.functions ?? [];
        return {
          key,
          description: `The class ${key}`,
          state_spec: { consistency_model: 'NONE', persistent: true },
          function_bindings: functions.map((fn) => ({
            name: fn.function_key.split('.')[1],
            function_key: fn.function_key,
            access_modifier: 'PUBLIC',
            stateless: false,
            parameters: [],
          })),
        };
      }),
      functions: [...new Set(own.flatMap((each) => each.functions.map((fn) => fn.function_key)))].map((key) => ({
        key,
        function_type: 'CUSTOM',
        description: `Does what ${key} says`,
        provision_config: { container_image: `oaas/example-${name}:1`, port: 8080, min_scale: 1, max_scale: 3 },
      })),
      dependencies: name === 'chat' ? ['counter'] : [],
      deployments: classes.map((key) => ({
        key: name,
        class_key: key,
        target_envs: own.filter((each) => each.class_key === key).map((each) => each.target_environment),
      })),
      origin: {
        type: 'git',
        source: own[0]?.source ?? null,
        commit: commitId,
        path: `${name}/package.yaml`,
        actor: null,
      },
      digest: `sha256:${name}`,
      created_at: ago(60 * hour),
      updated_at: ago(3 * minute),
    };
  });
}

function makeClusters(records: readonly DeploymentRecordDetail[], ago: (ms: number) => string): ClusterView[] {
  const cluster = (name: string, change: Partial<ClusterView>): ClusterView => {
    const own = records.filter((each) => each.target_environment === name);
    return {
      name,
      health: {
        cluster_name: name,
        status: 'Healthy',
        crm_version: '0.1.0',
        last_seen: ago(2_000),
        node_count: 3,
        ready_nodes: 3,
        availability: 0.9993,
      },
      url: `http://127.0.0.1:${name === 'cloud' ? '7420' : name === 'edge' ? '7430' : '7440'}`,
      connection: 'Connected',
      message: '',
      kubernetes_version: 'v1.34.1',
      profile: 'development',
      records: own.length,
      records_ready: own.filter((each) => each.axes.health.status === 'Healthy').length,
      queue_depth: 0,
      in_sync: true,
      ...change,
    };
  };
  return [
    cluster('cloud', { queue_depth: 2, in_sync: false }),
    cluster('edge', {
      health: {
        cluster_name: 'edge',
        status: 'Degraded',
        crm_version: '0.1.0',
        last_seen: ago(2_000),
        node_count: 2,
        ready_nodes: 1,
        availability: 0.981,
      },
    }),
    cluster('lab', {
      connection: 'BreakerOpen',
      message: 'connect ECONNREFUSED 127.0.0.1:7440; next try in 24 s.',
      kubernetes_version: null,
      queue_depth: 40,
      in_sync: false,
      records_ready: 0,
      health: {
        cluster_name: 'lab',
        status: 'Unknown',
        crm_version: null,
        last_seen: ago(14 * minute),
        node_count: null,
        ready_nodes: null,
        availability: null,
      },
    }),
  ];
}

function makeGrid(each: DeploymentRecordDetail, now: number): GridView {
  const members = Array.from(
    { length: each.axes.data.members_total },
    (_, index) => `${each.id}-grid-${String(index)}`,
  );
  const up = (index: number) => index < each.axes.data.members_ready;
  const replicas = each.collections[0]?.replica_count ?? 1;
  const objects = each.axes.data.objects ?? 0;
  const shards = each.collections.flatMap((collection) =>
    Array.from({ length: collection.partition_count }, (_, partition) => {
      const hosts = Array.from(
        { length: Math.min(replicas, members.length) },
        (_each, replica) => (partition + replica) % members.length,
      );
      const leader = hosts.find(up);
      const lagging = partition === 5;
      return {
        collection: collection.name,
        partition,
        shard_id: 1000 + partition,
        type: 'basic',
        leader: leader === undefined ? '' : (members[leader] ?? ''),
        term: 3,
        state: leader === undefined ? 'unavailable' : hosts.every(up) ? (lagging ? 'degraded' : 'ready') : 'degraded',
        replicas: hosts.map((host) => ({
          node: members[host] ?? '',
          role: host === leader ? 'leader' : 'follower',
          state: !up(host) ? 'down' : lagging && host !== leader ? 'syncing' : 'ready',
          match: 4_102 - (lagging && host !== leader ? 380 : 0),
          lag: lagging && host !== leader ? 380 : 0,
        })),
        objects: Math.round(objects / collection.partition_count),
        bytes: Math.round((objects * 412) / collection.partition_count),
      };
    }),
  );
  return {
    environment: each.target_environment,
    deployment: each.id,
    cluster_id: each.id,
    leader_node: members[0] ?? '',
    total_nodes: members.length,
    active_nodes: each.axes.data.members_ready,
    balance_score: 0.94,
    members: members.map((id, index) => ({
      id,
      address: `10.0.0.${String(11 + index)}:7000`,
      zone: `zone-${String.fromCharCode(97 + index)}`,
      state: up(index) ? 'up' : each.axes.health.status === 'Progressing' ? 'suspect' : 'down',
      version: '0.1.0',
      shards: shards.filter((shard) => shard.replicas.some((replica) => replica.node === id)).length,
      leaders: shards.filter((shard) => shard.leader === id).length,
      objects: Math.round(objects / members.length),
      bytes: Math.round((objects * 412) / members.length),
      uptime_seconds: up(index) ? 18_240 : 0,
      memory_bytes: up(index) ? 148_000_000 + index * 9_000_000 : 0,
      last_seen: new Date(now - (up(index) ? 900 : 95_000)).toISOString(),
    })),
    collections: each.collections.map((collection) => ({
      name: collection.name,
      partition_count: collection.partition_count,
      replica_count: collection.replica_count,
      shard_type: collection.shard_type,
      durability: 'persistent',
      total_objects: collection.objects,
      size_bytes: collection.bytes,
      shards_ready: collection.shards_ready,
      class_ids: [collection.name],
    })),
    shards,
    observed_at: new Date(now).toISOString(),
  };
}

function makeAudit(ago: (ms: number) => string): AuditRecordView[] {
  const entries: readonly (readonly [string, string, string, AuditRecordView['result'], string])[] = [
    ['admin', 'source.sync', 'sources/gitops', 'succeeded', 'Looked at 9f2c41d0'],
    ['webhook', 'source.webhook', 'sources/gitops', 'succeeded', 'push of main to 9f2c41d0'],
    ['webhook', 'source.webhook', 'sources/archive', 'denied', 'No webhook secret is set'],
    ['admin', 'source.suspend', 'sources/platform', 'succeeded', 'Change freeze until Monday'],
    ['ci', 'deployment.confirm', 'deployment-records/fleet-003-sensor-cloud', 'denied', 'Role viewer may not confirm'],
    ['admin', 'source.put', 'sources/edge-apps', 'succeeded', 'prune: delete → keep'],
    ['admin', 'source.rollback', 'sources/gitops', 'failed', 'Commit 0000aaaa is not in the repository'],
  ];
  return Array.from({ length: 84 }, (_, index) => {
    const [actor, action, resource, result, detail] = entries[index % entries.length] ?? [
      '',
      '',
      '',
      'succeeded' as const,
      '',
    ];
    return {
      id: `audit-${String(1000 - index)}`,
      at: ago((index * index + 1) * 70_000),
      actor,
      role: actor === 'ci' ? 'viewer' : 'admin',
      action,
      resource,
      remote_address: '127.0.0.1',
      result,
      detail,
    };
  });
}
