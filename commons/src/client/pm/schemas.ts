/**
 * What PM's REST API takes and gives (`/api/v1`), as zod schemas: PM validates and documents with them, the console and the CLI take their types.
 * Names are snake_case, as in the package YAML. Times are RFC 3339. Lists answer a JSON array; `X-Total-Count`, `X-Next-Cursor` and `Link` carry paging.
 */
import { z } from 'zod';

const time = z.string().describe('RFC 3339');

export const severitySchema = z.enum(['error', 'warning']);

/** One thing that is wrong with a document, where it is and how to mend it. */
export const problemSchema = z.object({
  severity: severitySchema,
  code: z.string().describe('Code of the error table, such as PackageInvalid'),
  message: z.string(),
  remedy: z.string(),
  path: z.string().describe('File inside the repository'),
  line: z.number().int().describe('1-based'),
  column: z.number().int().describe('1-based'),
  field: z.string().optional().describe('Path of the field, such as classes[0].key'),
  frame: z
    .object({
      line: z.number().int().describe('1-based number of the first of the lines'),
      lines: z.array(z.string()),
    })
    .optional()
    .describe('The file around the problem; absent where it could not be read'),
});
export type DocumentProblem = z.infer<typeof problemSchema>;

export const commitSchema = z.object({
  id: z.string().describe('Full object id'),
  ref: z.string().describe('Branch, tag or commit that led to it'),
  message: z.string(),
  author: z.string(),
  committed_at: time,
});
export type Commit = z.infer<typeof commitSchema>;

export const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string(),
  last_transition_time: time,
  observed_generation: z.number().int().optional(),
});
export type Condition = z.infer<typeof conditionSchema>;

// ---- Sources -------------------------------------------------------------------------------------------------------

export const refSchema = z
  .object({ branch: z.string().optional(), tag: z.string().optional(), commit: z.string().optional() })
  .describe('Exactly one of branch, tag and commit; default branch main');

export const prunePolicySchema = z
  .enum(['delete', 'keep'])
  .describe(
    'What happens to a record whose package left the repository: delete removes it unless its shards hold objects; keep leaves it running',
  );

/** Create or replace a source. Secrets go in and never come out. */
export const sourceInputSchema = z.object({
  name: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
  url: z.url(),
  ref: refSchema.default({ branch: 'main' }),
  path: z.string().default('').describe('Only documents under this folder; empty is the whole repository'),
  interval_seconds: z.number().min(1).max(86_400).default(15),
  timeout_seconds: z.number().min(1).max(600).default(30),
  prune: prunePolicySchema.default('keep'),
  auth: z
    .discriminatedUnion('type', [
      z.object({ type: z.literal('none') }),
      z.object({ type: z.literal('basic'), username: z.string(), password: z.string().optional() }),
      z.object({ type: z.literal('bearer'), token: z.string().optional() }),
    ])
    .default({ type: 'none' })
    .describe(
      'A password or token that is left out stays as it was, unless the server of the repository changes with it',
    ),
  webhook_secret: z
    .string()
    .min(16)
    .optional()
    .describe('Without it the webhook of this source is refused. Left out, it stays as it was'),
});
export type SourceInput = z.infer<typeof sourceInputSchema>;

export const sourcePhaseSchema = z.enum([
  'Pending',
  'Fetching',
  'Planning',
  'Applying',
  'Synced',
  'Refused',
  'Failed',
  'Stalled',
  'Suspended',
]);
export type SourcePhase = z.infer<typeof sourcePhaseSchema>;

export const planSummarySchema = z.object({
  create: z.number().int(),
  update: z.number().int(),
  unchanged: z.number().int(),
  prune: z.number().int(),
  keep: z.number().int().describe('No longer in Git, left running by policy'),
  hold: z.number().int().describe('Wants a confirmation before it is carried out'),
  refused: z.number().int().describe('Documents with errors'),
});
export type PlanSummary = z.infer<typeof planSummarySchema>;

export const sourceSchema = z.object({
  name: z.string(),
  url: z.string().describe('Without credentials'),
  ref: refSchema,
  path: z.string(),
  interval_seconds: z.number(),
  timeout_seconds: z.number(),
  prune: prunePolicySchema,
  auth_type: z.enum(['none', 'basic', 'bearer']),
  auth_username: z.string().nullable().describe('Where auth_type is basic'),
  webhook: z.object({ path: z.string(), secret_set: z.boolean(), last_delivery_at: time.nullable() }),
  suspended: z.object({ by: z.string(), reason: z.string(), at: time }).nullable(),
  pinned: z
    .object({ commit: z.string(), by: z.string(), at: time })
    .nullable()
    .describe('Set by a rollback: this commit stays until the source is resumed'),
  phase: sourcePhaseSchema,
  message: z.string(),
  conditions: z.array(conditionSchema),
  observed_commit: commitSchema.nullable().describe('Newest commit seen'),
  attempted_commit: commitSchema.nullable().describe('Commit of the last plan'),
  applied_commit: commitSchema.nullable().describe('Last commit that every cluster has'),
  last_checked_at: time.nullable(),
  next_check_at: time.nullable(),
  plan_id: z.string().nullable(),
  plan_summary: planSummarySchema.nullable(),
  packages: z.number().int(),
  created_at: time,
  updated_at: time,
});
export type Source = z.infer<typeof sourceSchema>;

// ---- Plans ---------------------------------------------------------------------------------------------------------

export const documentVerdictSchema = z.object({
  path: z.string(),
  line: z.number().int().describe('Where the document begins'),
  kind: z.enum(['Package', 'ClassDeployment', 'Overlay', 'Unknown']),
  name: z.string(),
  verdict: z.enum(['accepted', 'refused', 'ignored']),
  problems: z.array(problemSchema),
});
export type DocumentVerdict = z.infer<typeof documentVerdictSchema>;

export const collectionLayoutSchema = z.object({
  name: z.string(),
  shard_type: z.string(),
  partition_count: z.number().int(),
  replica_count: z.number().int(),
});
export const gridLayoutSchema = z.object({
  node_count: z.number().int(),
  collections: z.array(collectionLayoutSchema),
});
export type GridLayoutView = z.infer<typeof gridLayoutSchema>;

export const fieldChangeSchema = z.object({
  path: z.string(),
  before: z.unknown().optional(),
  after: z.unknown().optional(),
});
export type FieldChange = z.infer<typeof fieldChangeSchema>;

/** What a commit does to one class in one environment: to its code, and to its shards. */
export const unitChangeSchema = z.object({
  unit_id: z.string(),
  package_name: z.string(),
  class_key: z.string(),
  environment: z.string(),
  deployment_key: z.string(),
  path: z.string(),
  action: z.enum(['create', 'update', 'unchanged', 'prune', 'keep', 'hold']),
  reason: z.string().describe('Why, in one sentence'),
  changes: z.array(fieldChangeSchema).describe('At most 200'),
  data: z.object({
    before: gridLayoutSchema.nullable(),
    after: gridLayoutSchema.nullable(),
    shards_added: z.number().int(),
    shards_removed: z.number().int(),
    replicas_added: z.number().int(),
    replicas_removed: z.number().int(),
    objects: z.number().int().nullable().describe('Objects held now; null where the grid could not be asked'),
    effect: z.string().describe('One sentence: what happens to the data'),
  }),
  confirm: z
    .string()
    .nullable()
    .describe('Where the action is hold: the text that POST deployment-records/:id/confirm takes'),
});
export type UnitChange = z.infer<typeof unitChangeSchema>;

export const planSchema = z.object({
  id: z.string(),
  source: z.string(),
  commit: commitSchema,
  created_at: time,
  verdict: z.enum(['clean', 'changes', 'held', 'refused']).describe('refused: nothing of this commit is applied'),
  summary: planSummarySchema,
  documents: z.array(documentVerdictSchema),
  units: z.array(unitChangeSchema),
});
export type Plan = z.infer<typeof planSchema>;

// ---- History -------------------------------------------------------------------------------------------------------

export const syncRunSchema = z.object({
  id: z.string(),
  source: z.string(),
  commit: commitSchema,
  trigger: z.enum(['webhook', 'poll', 'manual', 'rollback', 'resume', 'startup']),
  actor: z.string(),
  phase: z.enum(['Running', 'Succeeded', 'Refused', 'Failed', 'Superseded']),
  message: z.string(),
  plan_id: z.string(),
  summary: planSummarySchema,
  clusters: z.array(
    z.object({
      environment: z.string(),
      total: z.number().int(),
      applied: z.number().int(),
      failed: z.number().int(),
      phase: z.enum(['Waiting', 'Applying', 'Applied', 'Failed', 'Unreachable']),
      message: z.string(),
    }),
  ),
  started_at: time,
  finished_at: time.nullable(),
  duration_ms: z.number().nullable(),
});
export type SyncRun = z.infer<typeof syncRunSchema>;

// ---- Packages ------------------------------------------------------------------------------------------------------

export const originSchema = z.object({
  type: z.enum(['git', 'api']),
  source: z.string().nullable(),
  commit: z.string().nullable(),
  path: z.string().nullable(),
  actor: z.string().nullable(),
});

/** A package as the registry keeps it: its YAML (contracts, Package YAML) and where it came from. */
export const packageViewSchema = z
  .object({
    name: z.string(),
    version: z.string().nullable(),
    metadata: z
      .object({
        author: z.string().nullish(),
        description: z.string().nullish(),
        tags: z.array(z.string()).default([]),
      })
      .loose(),
    classes: z.array(z.looseObject({ key: z.string(), description: z.string().nullish() })),
    functions: z.array(z.looseObject({ key: z.string(), function_type: z.string() })),
    dependencies: z.array(z.string()),
    deployments: z.array(z.looseObject({ key: z.string(), class_key: z.string(), target_envs: z.array(z.string()) })),
    origin: originSchema,
    digest: z.string(),
    created_at: time,
    updated_at: time,
  })
  .loose();
export type PackageView = z.infer<typeof packageViewSchema>;

// ---- Deployment records --------------------------------------------------------------------------------------------

/** The four axes. None hides another. */
export const axesSchema = z.object({
  sync: z.object({ status: z.enum(['Synced', 'OutOfSync', 'Applying', 'Failed', 'Unknown']), message: z.string() }),
  health: z.object({
    status: z.enum(['Healthy', 'Progressing', 'Degraded', 'Suspended', 'Missing', 'Unknown']),
    message: z.string(),
  }),
  data: z.object({
    status: z.enum(['Healthy', 'Degraded', 'Unavailable', 'Unknown']),
    message: z.string(),
    objects: z.number().int().nullable(),
    bytes: z.number().int().nullable(),
    shards_ready: z.number().int(),
    shards_total: z.number().int(),
    members_ready: z.number().int(),
    members_total: z.number().int(),
    observed_at: time.nullable(),
  }),
  nfr: z.object({
    status: z.enum(['Compliant', 'Violated', 'NotMeasured', 'NotRequired']),
    message: z.string(),
    min_throughput_rps: z.number().nullable(),
    max_latency_ms: z.number().nullable(),
    availability: z.number().nullable(),
  }),
});
export type Axes = z.infer<typeof axesSchema>;

/** One class in one environment, as desired (Git) and as observed (its cluster). The first fields are those of older clients. */
export const deploymentRecordSchema = z.object({
  id: z.string(),
  deployment_unit_id: z.string(),
  package_name: z.string(),
  class_key: z.string(),
  target_environment: z.string(),
  cluster_name: z.string(),
  status: z.object({
    condition: z.string(),
    phase: z.string(),
    message: z.string().nullable(),
    last_updated: time,
  }),
  resource_refs: z.array(
    z.object({ kind: z.string(), name: z.string(), namespace: z.string().nullable(), uid: z.string().nullable() }),
  ),
  partition_count: z.number().int(),
  created_at: time,
  updated_at: time,
  deployment_key: z.string(),
  axes: axesSchema,
  source: z.string().nullable(),
  commit: z.string().nullable(),
  path: z.string().nullable(),
  generation: z.number().int(),
  desired_digest: z.string().nullable().describe('null: no longer wanted'),
  observed_digest: z.string().nullable().describe('null: the cluster has no record'),
  hold: z
    .object({ reason: z.string(), confirm: z.string() })
    .nullable()
    .describe('An action that waits for a confirmation'),
  template: z.string(),
});
export type DeploymentRecordView = z.infer<typeof deploymentRecordSchema>;

export const resourceSchema = z.object({
  kind: z.string(),
  name: z.string(),
  namespace: z.string(),
  uid: z.string(),
  parent_uid: z.string(),
  health: z.enum(['Healthy', 'Progressing', 'Degraded', 'Unknown']),
  message: z.string(),
  created_at: z.string(),
  restarts: z.number().int(),
});
export type ResourceView = z.infer<typeof resourceSchema>;

export const recordEventSchema = z.object({
  type: z.string(),
  reason: z.string(),
  message: z.string(),
  count: z.number().int(),
  first_seen: z.string(),
  last_seen: z.string(),
  regarding: z.string(),
});

export const deploymentRecordDetailSchema = deploymentRecordSchema.extend({
  conditions: z.array(conditionSchema),
  resources: z.array(resourceSchema),
  events: z.array(recordEventSchema),
  endpoints: z.array(z.object({ name: z.string(), protocol: z.string(), address: z.string() })),
  functions: z.array(
    z.object({
      function_key: z.string(),
      service: z.string(),
      ready: z.boolean().nullable(),
      reason: z.string().nullable(),
      message: z.string().nullable(),
    }),
  ),
  collections: z.array(
    z.object({
      name: z.string(),
      shard_type: z.string(),
      partition_count: z.number().int(),
      replica_count: z.number().int(),
      objects: z.number().int(),
      bytes: z.number().int(),
      shards_ready: z.number().int(),
    }),
  ),
  desired: z.unknown().describe('The deployment unit that Git wants, as JSON; null where nothing is wanted'),
});
export type DeploymentRecordDetail = z.infer<typeof deploymentRecordDetailSchema>;

// ---- Clusters ------------------------------------------------------------------------------------------------------

export const clusterHealthSchema = z.object({
  cluster_name: z.string(),
  status: z.enum(['Healthy', 'Degraded', 'Unhealthy', 'Unknown']),
  crm_version: z.string().nullable(),
  last_seen: time.nullable(),
  node_count: z.number().int().nullable(),
  ready_nodes: z.number().int().nullable(),
  availability: z.number().nullable(),
});

export const clusterSchema = z.object({
  name: z.string(),
  health: clusterHealthSchema,
  url: z.string().describe('Address of its CRM'),
  connection: z.enum(['Connected', 'Connecting', 'BreakerOpen', 'Disconnected']),
  message: z.string(),
  kubernetes_version: z.string().nullable(),
  profile: z.string().nullable(),
  records: z.number().int(),
  records_ready: z.number().int(),
  queue_depth: z.number().int().describe('Units that wait to be applied'),
  in_sync: z.boolean(),
});
export type ClusterView = z.infer<typeof clusterSchema>;

// ---- Grid ----------------------------------------------------------------------------------------------------------

export const gridMemberSchema = z.object({
  id: z.string(),
  address: z.string(),
  zone: z.string(),
  state: z.enum(['up', 'suspect', 'draining', 'drained', 'down']),
  version: z.string(),
  shards: z.number().int(),
  leaders: z.number().int(),
  objects: z.number().int(),
  bytes: z.number().int(),
  uptime_seconds: z.number(),
  memory_bytes: z.number(),
  last_seen: z.string(),
});
export type GridMember = z.infer<typeof gridMemberSchema>;

export const gridShardSchema = z.object({
  collection: z.string(),
  partition: z.number().int(),
  shard_id: z.number().int(),
  type: z.string(),
  leader: z.string(),
  term: z.number().int(),
  state: z.string(),
  replicas: z.array(
    z.object({ node: z.string(), role: z.string(), state: z.string(), match: z.number(), lag: z.number() }),
  ),
  objects: z.number().int(),
  bytes: z.number().int(),
});
export type GridShard = z.infer<typeof gridShardSchema>;

export const gridCollectionSchema = z.object({
  name: z.string(),
  partition_count: z.number().int(),
  replica_count: z.number().int(),
  shard_type: z.string(),
  durability: z.string(),
  total_objects: z.number().int(),
  size_bytes: z.number().int(),
  shards_ready: z.number().int(),
  class_ids: z.array(z.string()),
});
export type GridCollection = z.infer<typeof gridCollectionSchema>;

/** Everything the grid page of one deployment shows, read from its ODGM through its CRM. */
export const gridSchema = z.object({
  environment: z.string(),
  deployment: z.string(),
  cluster_id: z.string(),
  leader_node: z.string(),
  total_nodes: z.number().int(),
  active_nodes: z.number().int(),
  balance_score: z.number(),
  members: z.array(gridMemberSchema),
  collections: z.array(gridCollectionSchema),
  shards: z.array(gridShardSchema),
  observed_at: time,
});
export type GridView = z.infer<typeof gridSchema>;

// ---- The rest ------------------------------------------------------------------------------------------------------

export const auditRecordSchema = z.object({
  id: z.string(),
  at: time,
  actor: z.string(),
  role: z.string(),
  action: z.string().describe('Such as source.sync or deployment.confirm'),
  resource: z.string(),
  remote_address: z.string(),
  result: z.enum(['succeeded', 'denied', 'failed']),
  detail: z.string(),
});
export type AuditRecordView = z.infer<typeof auditRecordSchema>;

export const overviewSchema = z.object({
  sources: z.object({ total: z.number().int(), synced: z.number().int(), attention: z.number().int() }),
  packages: z.number().int(),
  records: z.object({
    total: z.number().int(),
    synced: z.number().int(),
    healthy: z.number().int(),
    progressing: z.number().int(),
    degraded: z.number().int(),
    held: z.number().int(),
  }),
  data: z.object({
    objects: z.number().int(),
    bytes: z.number().int(),
    shards_ready: z.number().int(),
    shards_total: z.number().int(),
  }),
  clusters: z.object({ total: z.number().int(), connected: z.number().int() }),
  commit_to_applied_ms: z
    .object({ p50: z.number().nullable(), p95: z.number().nullable(), last: z.number().nullable() })
    .describe('Over the last 100 applied commits'),
  recent_runs: z.array(syncRunSchema).describe('Newest first, at most 10'),
  attention: z
    .array(
      z.object({
        severity: severitySchema,
        title: z.string(),
        detail: z.string(),
        link: z.string().describe('Console path, such as /deployments/ID'),
      }),
    )
    .describe('What somebody should look at, worst first, at most 20'),
});
export type Overview = z.infer<typeof overviewSchema>;

export const whoamiSchema = z.object({ subject: z.string(), role: z.enum(['viewer', 'operator', 'admin']) });
export type Whoami = z.infer<typeof whoamiSchema>;

/** RFC 9457. */
export const problemDocumentSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string().optional(),
  code: z.string(),
  remedy: z.string().optional(),
});
export type ProblemDocument = z.infer<typeof problemDocumentSchema>;

/** An event of `GET /api/v1/events` (server-sent events; `id` resumes by Last-Event-ID, `reset` says that too much was missed: read all anew). */
export const platformEventSchema = z.object({
  topic: z.enum(['source', 'plan', 'run', 'package', 'record', 'cluster', 'reset']),
  action: z.enum(['added', 'modified', 'deleted']),
  key: z.string(),
  at: time,
});
export type PlatformEvent = z.infer<typeof platformEventSchema>;
