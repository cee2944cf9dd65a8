import { type CallContext, type ServiceHandlers, subjectOf } from '@oaas/commons/grpc';
import { type JsonValue, oaasError } from '@oaas/commons/errors';
import type { Metrics } from '@oaas/commons/telemetry';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import type { admin } from '@oaas/proto';
import type { GridNode } from '../node/index.ts';
import { actions } from './actions.ts';
import type { Audit } from './audit.ts';
import type { Collections } from './collections.ts';
import { actorHeader, type Caller, grpcCaller } from './caller.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { AdminAccess, Permission } from './access.ts';
import { diagnose, flatDiagnostics, inputOf } from './diagnostics/index.ts';
import { gridVersions } from './grid-versions.ts';
import { metricsJson } from './json.ts';
import type { Tasks } from './tasks.ts';
import type { VersionHolders } from './version-holders.ts';
import { clusterStatus, collectionView, memberList, shardDistribution } from './view.ts';

export interface GridAdminOptions {
  readonly node: GridNode;
  readonly tasks: Tasks;
  readonly collections: Collections;
  readonly versions: VersionHolders;
  readonly deadLetters: DeadLetters;
  readonly metrics: Metrics;
  readonly audit: Audit;
  readonly clock: Clock;
  /** Asked of every call, as over HTTP. */
  readonly access: AdminAccess;
}

/** `oaas.admin.v1.GridAdmin`, all of it: what the grid is and does, tasks, collections, dead letters, and versions. */
export function gridAdminService(
  options: GridAdminOptions,
): Required<ServiceHandlers<typeof admin.GridAdminDefinition>> {
  const { node, tasks, collections, versions, deadLetters, metrics, audit, clock, access } = options;
  /** Reading; without a collection, all of the grid. */
  const allow = (context: CallContext, collection?: string, permission: Permission = 'Read'): Promise<void> => {
    const of = collection === '' ? undefined : collection;
    return access.check(context.metadata.get('authorization'), { permission, collection: of });
  };
  const named = (name: string) => {
    const collection = node.collections().find(({ spec }) => spec.name === nameOf(name));
    if (collection === undefined) throw oaasError('NotFound', `there is no collection "${name}"`);
    return collection;
  };
  /** All answers are made from what the members say of themselves: ask them first. */
  const asked = async <T>(context: CallContext, answer: () => T, collection?: string): Promise<T> => {
    await allow(context, collection);
    await node.reports.refresh();
    return answer();
  };
  const changing = async <T>(
    context: CallContext,
    action: string,
    resource: string,
    diff: JsonValue,
    run: (actor: string) => Promise<T>,
  ): Promise<T> => {
    const subject = (await access.subjectOf(context.metadata.get('authorization'))) ?? actorOf(context);
    const from = { address: context.peer, via: 'grpc' } as const;
    return audit.around({ subject, action, resource, from, diff }, async () => {
      const prefix = 'collection/';
      const collection = resource.startsWith(prefix) ? resource.slice(prefix.length) : undefined;
      await allow(context, collection, permissionOf(action));
      return run(subject);
    });
  };
  const callerOf = (context: CallContext, actor?: string): Caller => grpcCaller(context, clock, actor);
  const changingLetters = async (
    context: CallContext,
    what: 'replay' | 'purge',
    request: admin.DeadLetterSelection,
  ): Promise<admin.DeadLetterResult> => {
    const { collection, functionKey, reason, all, ids, dryRun } = request;
    if (dryRun) {
      await allow(context, collection);
      return deadLetters[what](request, callerOf(context));
    }
    const resource = collection === '' ? 'dead-letters' : `collection/${collection}`;
    const diff = { ids, collection, function: functionKey, reason, all };
    const action = what === 'replay' ? actions.replayDeadLetters : actions.purgeDeadLetters;
    return changing(context, action, resource, diff, (actor) => deadLetters[what](request, callerOf(context, actor)));
  };
  return {
    ...gridVersions({ holders: versions, callerOf, allow, changing }),
    getClusterStatus: (_request, context) => asked(context, () => clusterStatus(node)),
    listMembers: (_request, context) => asked(context, () => ({ members: memberList(node) })),
    listCollections: (_request, context) =>
      asked(context, () => ({ collections: node.collections().map((collection) => collectionView(node, collection)) })),
    getCollection: ({ name }, context) => asked(context, () => collectionView(node, named(name)), name),
    createCollection: (request, context) => {
      const { name } = request;
      const ask = collectionAsk(request);
      const run = () => collections.create(nameOf(name), ask);
      return changing(context, actions.createCollection, `collection/${name}`, ask, run);
    },
    deleteCollection: async ({ name, dryRun }, context) => {
      if (!dryRun) {
        const run = () => collections.delete(nameOf(name));
        return changing(context, actions.deleteCollection, `collection/${name}`, {}, run);
      }
      await allow(context, name);
      return collections.lookAt(nameOf(name));
    },
    getShardDistribution: ({ collection }, context) =>
      asked(context, () => shardDistribution(node, collection === '' ? undefined : named(collection)), collection),
    planTask: async (request, context) => {
      await allow(context, request.member === '' ? request.collection : undefined);
      return tasks.plan(request);
    },
    startTask: (request, context) => {
      const { kind, collection, member, options: diff } = request;
      const resource = member === '' ? `collection/${collection}` : `member/${member}`;
      return changing(context, actions.startTask(kind), resource, diff, (actor) => tasks.start(request, actor));
    },
    updateTask: ({ taskId, options: changed }, context) =>
      changing(context, actions.updateTask, `task/${taskId}`, changed, () => tasks.update(taskId, changed)),
    cancelTask: ({ taskId }, context) =>
      changing(context, actions.cancelTask, `task/${taskId}`, {}, (actor) => tasks.cancel(taskId, actor)),
    getTask: ({ taskId }, context) => asked(context, () => tasks.get(taskId)),
    listTasks: ({ limit, cursor }, context) => asked(context, () => tasks.list(limit, cursor)),
    watchTask: async function* ({ taskId }, context) {
      await allow(context);
      yield* tasks.watch(taskId, context.signal);
    },
    getDiagnostics: (_request, context) =>
      asked(context, () => flatDiagnostics(diagnose(inputOf(node, clock)), toRfc3339(clock.now()))),
    listDeadLetters: async (request, context) => {
      await allow(context, request.collection);
      return deadLetters.list(request, callerOf(context));
    },
    replayDeadLetters: (request, context) => changingLetters(context, 'replay', request),
    purgeDeadLetters: (request, context) => changingLetters(context, 'purge', request),
    getMetricsSnapshot: async (_request, context) => {
      await allow(context);
      return { values: (await metricsJson(metrics)).metrics, takenAt: toRfc3339(clock.now()) };
    },
  };
}

/** What a change takes: versions and branches are data of a collection. */
function permissionOf(action: string): Permission {
  if (action === actions.deleteCollection) return 'Delete';
  return /^(version|branch)\./.test(action) ? 'Write' : 'Admin';
}

function nameOf(name: string): string {
  if (name !== '') return name;
  throw oaasError('InvalidArgument', 'name is empty', { remedy: 'Name a collection.' });
}

/** As the body of the same call over HTTP: what a message leaves out is 0 or empty. */
function collectionAsk(request: admin.CreateCollectionRequest): { readonly [field: string]: JsonValue } {
  const { partitionCount, replicaCount, shardType, durability, classIds, options } = request;
  return {
    ...(partitionCount === 0 ? {} : { partition_count: partitionCount }),
    ...(replicaCount === 0 ? {} : { replica_count: replicaCount }),
    ...(shardType === '' ? {} : { shard_type: shardType }),
    ...(durability === '' ? {} : { durability }),
    ...(classIds.length === 0 ? {} : { class_ids: classIds }),
    ...(Object.keys(options).length === 0 ? {} : { options }),
  };
}

/** Who asks, as far as the proxy in front says. */
function actorOf(context: CallContext): string {
  return context.metadata.get(actorHeader) ?? subjectOf(context)?.name ?? 'admin';
}
