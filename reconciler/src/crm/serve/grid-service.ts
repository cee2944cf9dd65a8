import { oaasError } from '@oaas/commons/errors';
import { type CallContext, type ServiceHandlers, subjectOf } from '@oaas/commons/grpc';
import { sleep, type Timers } from '@oaas/commons/time';
import { admin } from '@oaas/proto';
import type { Caches } from '../cluster/caches.ts';
import type { GridHttp } from '../observe/grid-http.ts';
import { changePath, letterList, listPath } from './grid-dead-letters.ts';
import { camelCase, type Json, queryOf, type Texts, withoutEmpty } from './grid-json.ts';

export interface GridServiceOptions {
  readonly http: GridHttp;
  readonly caches: Pick<Caches, 'records'>;
  readonly namespace: string;
  readonly timers: Timers;
}

/** How often a task that is watched is looked at. */
const watchMs = 500;
const finished: ReadonlySet<string> = new Set(['succeeded', 'failed', 'cancelled']);

/**
 * `oaas.admin.v1.GridAdmin` for the grid of the deployment that a request names. Answers come from the grid's admin API
 * at that moment. What grids do not offer is not served here either: such calls are `Unimplemented`. So are those that
 * make or delete collections, since the record says which there are, and those on versions.
 */
export function gridService({
  http,
  caches,
  namespace,
  timers,
}: GridServiceOptions): ServiceHandlers<typeof admin.GridAdminDefinition> {
  function checkRecord(deploymentId: string): void {
    if (deploymentId === '') {
      throw oaasError('InvalidArgument', 'deployment_id: is missing', {
        remedy: 'Name the deployment whose grid is meant.',
      });
    }
    if (caches.records.get(`${namespace}/${deploymentId}`) === undefined) {
      throw oaasError('NotFound', `there is no deployment "${deploymentId}"`);
    }
  }
  async function answerOf(deploymentId: string, path: string, signal: AbortSignal): Promise<Json> {
    checkRecord(deploymentId);
    return (await http.get(deploymentId, path, signal)) as Json;
  }
  async function ask(deploymentId: string, path: string, signal: AbortSignal): Promise<Json> {
    return camelCase(await answerOf(deploymentId, path, signal)) as Json;
  }

  async function change(deploymentId: string, path: string, context: CallContext): Promise<Json> {
    checkRecord(deploymentId);
    return camelCase(await http.post(deploymentId, path, actorOf(context), context.signal)) as Json;
  }
  const taskOf = async (deploymentId: string, id: string, signal: AbortSignal): Promise<admin.Task> =>
    admin.Task.fromPartial(await ask(deploymentId, taskPath(id), signal));
  async function* watch({ deploymentId, taskId }: admin.TaskRef, signal: AbortSignal): AsyncGenerator<admin.Task> {
    let last = '';
    for (;;) {
      const task = await taskOf(deploymentId, taskId, signal);
      const text = JSON.stringify(task);
      if (text !== last) yield task;
      last = text;
      if (finished.has(task.state)) return;
      await sleep(timers, watchMs, signal);
    }
  }

  return {
    planTask: async (request, context) => {
      const answer = await change(request.deploymentId, startPath(request, { dry_run: 'true' }), context);
      return admin.TaskPlan.fromPartial(answer);
    },
    startTask: async (request, context) => {
      const { taskId } = await change(request.deploymentId, startPath(request), context);
      return taskOf(request.deploymentId, String(taskId), context.signal);
    },
    updateTask: async ({ deploymentId, taskId, options }, context) =>
      admin.Task.fromPartial(await change(deploymentId, `${taskPath(taskId)}/throttle${queryOf(options)}`, context)),
    cancelTask: async ({ deploymentId, taskId }, context) =>
      admin.Task.fromPartial(await change(deploymentId, `${taskPath(taskId)}/cancel`, context)),
    getTask: ({ deploymentId, taskId }, { signal }) => taskOf(deploymentId, taskId, signal),
    listTasks: async ({ deploymentId, limit, cursor }, { signal }) =>
      admin.ListTasksResponse.fromPartial(
        await ask(deploymentId, `/admin/tasks${queryOf({ limit: String(limit), cursor })}`, signal),
      ),
    watchTask: (request, { signal }) => watch(request, signal),
    getClusterStatus: async ({ deploymentId }, { signal }) =>
      admin.ClusterStatus.fromPartial(withoutNulls(await ask(deploymentId, '/admin/cluster/status', signal))),
    listMembers: async ({ deploymentId }, { signal }) =>
      admin.ListMembersResponse.fromPartial(await ask(deploymentId, '/admin/cluster/members', signal)),
    listCollections: async ({ deploymentId }, { signal }) => {
      const answer = await ask(deploymentId, '/admin/collections', signal);
      const collections = (answer['collections'] ?? []) as readonly Json[];
      return { collections: collections.map(collection) };
    },
    getCollection: async ({ deploymentId, name }, { signal }) =>
      collection(await ask(deploymentId, `/admin/collections/${encodeURIComponent(name)}`, signal)),
    getShardDistribution: async (request, { signal }) => {
      const answer = await ask(request.deploymentId, '/admin/shards/distribution', signal);
      const distribution = admin.ShardDistribution.fromPartial(answer);
      if (request.collection === '') return distribution;
      return {
        ...distribution,
        shards: distribution.shards.filter((shard) => shard.collection === request.collection),
      };
    },
    getDiagnostics: async ({ deploymentId }, { signal }) =>
      diagnostics(await answerOf(deploymentId, '/admin/diagnostics', signal)),
    listDeadLetters: async (request, { signal }) =>
      letterList(await answerOf(request.deploymentId, listPath(request), signal)),
    replayDeadLetters: async (request, context) =>
      admin.DeadLetterResult.fromPartial(await change(request.deploymentId, changePath('replay', request), context)),
    purgeDeadLetters: async (request, context) =>
      admin.DeadLetterResult.fromPartial(await change(request.deploymentId, changePath('purge', request), context)),
    getMetricsSnapshot: async ({ deploymentId }, { signal }) => {
      const { metrics } = (await http.get(deploymentId, '/admin/metrics', signal)) as {
        readonly metrics?: Readonly<Record<string, number>>;
      };
      return { values: { ...metrics }, takenAt: '' };
    },
  };
}

/** Who asks, as far as the caller says: the token is that of all who may ask. */
function actorOf(context: CallContext): string {
  return context.metadata.get('x-oaas-actor') ?? subjectOf(context)?.name ?? 'crm';
}

/** Throws `InvalidArgument`. */
function taskPath(id: string): string {
  if (id === '') throw oaasError('InvalidArgument', 'task_id is empty', { remedy: 'Give the id of a task.' });
  return `/admin/tasks/${encodeURIComponent(id)}`;
}

function startPath({ kind, collection, member, options, planId }: admin.TaskRequest, more: Texts = {}): string {
  for (const name of ['kind', 'collection', 'member', 'plan_id', 'dry_run']) {
    if (options[name] === undefined) continue;
    throw oaasError('InvalidArgument', `there is no option "${name}"`, { remedy: 'Use the field of that name.' });
  }
  return `/admin/tasks${queryOf({ ...options, ...withoutEmpty({ kind, collection, member, plan_id: planId }), ...more })}`;
}

function collection({ shardDistribution, ...rest }: Json): admin.Collection {
  return admin.Collection.fromPartial({ ...rest, shards: (shardDistribution ?? []) as admin.Shard[] });
}

/** The admin API has the findings of the cluster and of shards area by area; a message has them in one list each. */
function diagnostics(report: Json): admin.Diagnostics {
  const within = (name: string): admin.Finding[] => {
    const part = report[name];
    const areas = Array.isArray(part) ? { [name]: part } : ((part ?? {}) as Json);
    return Object.entries(areas).flatMap(([area, findings]) =>
      (findings as readonly Partial<admin.Finding>[]).map((finding) => admin.Finding.fromPartial({ ...finding, area })),
    );
  };
  const takenAt = report['taken_at'];
  return {
    cluster: within('cluster'),
    shards: within('shards'),
    events: within('events'),
    performance: within('performance'),
    resources: within('resources'),
    takenAt: typeof takenAt === 'string' ? takenAt : '',
  };
}

/** The admin API says null where a message has an empty text. */
function withoutNulls(value: Json): Json {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== null));
}
