import { type CallContext, type ServiceHandlers, subjectOf } from '@oaas/commons/grpc';
import { type JsonValue, oaasError } from '@oaas/commons/errors';
import type { Metrics } from '@oaas/commons/telemetry';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import type { admin } from '@oaas/proto';
import type { GridNode } from '../node/index.ts';
import type { Audit } from './audit.ts';
import { diagnose, flatDiagnostics, inputOf } from './diagnostics/index.ts';
import { metricsJson } from './json.ts';
import type { Tasks } from './tasks.ts';
import { clusterStatus, collectionView, memberList, shardDistribution } from './view.ts';

export interface GridAdminOptions {
  readonly node: GridNode;
  readonly tasks: Tasks;
  readonly metrics: Metrics;
  readonly audit: Audit;
  readonly clock: Clock;
}

/** The part of `oaas.admin.v1.GridAdmin` that this build has; the other methods answer UNIMPLEMENTED. */
export function gridAdminService(options: GridAdminOptions): ServiceHandlers<typeof admin.GridAdminDefinition> {
  const { node, tasks, metrics, audit, clock } = options;
  const named = (name: string) => {
    const collection = node.collections().find(({ spec }) => spec.name === name);
    if (collection === undefined) throw oaasError('NotFound', `there is no collection "${name}"`);
    return collection;
  };
  /** All answers are made from what the members say of themselves: ask them first. */
  const asked = async <T>(answer: () => T): Promise<T> => {
    await node.reports.refresh();
    return answer();
  };
  const changing = <T>(
    context: CallContext,
    action: string,
    resource: string,
    diff: JsonValue,
    run: (actor: string) => Promise<T>,
  ): Promise<T> => {
    const subject = actorOf(context);
    const from = { address: context.peer, via: 'grpc' } as const;
    return audit.around({ subject, action, resource, from, diff }, () => run(subject));
  };
  return {
    getClusterStatus: () => asked(() => clusterStatus(node)),
    listMembers: () => asked(() => ({ members: memberList(node) })),
    listCollections: () =>
      asked(() => ({ collections: node.collections().map((collection) => collectionView(node, collection)) })),
    getCollection: ({ name }) => asked(() => collectionView(node, named(name))),
    getShardDistribution: ({ collection }) =>
      asked(() => shardDistribution(node, collection === '' ? undefined : named(collection))),
    planTask: (request) => tasks.plan(request),
    startTask: (request, context) => {
      const { kind, collection, member, options: diff } = request;
      const resource = member === '' ? `collection/${collection}` : `member/${member}`;
      return changing(context, `task.start.${kind}`, resource, diff, (actor) => tasks.start(request, actor));
    },
    updateTask: ({ taskId, options: changed }, context) =>
      changing(context, 'task.throttle', `task/${taskId}`, changed, () => tasks.update(taskId, changed)),
    cancelTask: ({ taskId }, context) =>
      changing(context, 'task.cancel', `task/${taskId}`, {}, (actor) => tasks.cancel(taskId, actor)),
    getTask: ({ taskId }) => asked(() => tasks.get(taskId)),
    listTasks: ({ limit, cursor }) => asked(() => tasks.list(limit, cursor)),
    watchTask: ({ taskId }, context) => tasks.watch(taskId, context.signal),
    getDiagnostics: () => asked(() => flatDiagnostics(diagnose(inputOf(node, clock)), toRfc3339(clock.now()))),
    getMetricsSnapshot: async () => ({
      values: (await metricsJson(metrics)).metrics,
      takenAt: toRfc3339(clock.now()),
    }),
  };
}

/** Who asks, as far as the proxy in front says. */
function actorOf(context: CallContext): string {
  return context.metadata.get('x-oaas-actor') ?? subjectOf(context)?.name ?? 'admin';
}
