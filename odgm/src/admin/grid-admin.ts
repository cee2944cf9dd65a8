import type { CallContext, ServiceHandlers } from '@oaas/commons/grpc';
import { oaasError } from '@oaas/commons/errors';
import type { Metrics } from '@oaas/commons/telemetry';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import type { admin } from '@oaas/proto';
import type { GridNode } from '../node/index.ts';
import { metricsJson } from './json.ts';
import type { Tasks } from './tasks.ts';
import { clusterStatus, collectionView, memberList, shardDistribution } from './view.ts';

export interface GridAdminOptions {
  readonly node: GridNode;
  readonly tasks: Tasks;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

/** The part of `oaas.admin.v1.GridAdmin` that this build has; the other methods answer UNIMPLEMENTED. */
export function gridAdminService(options: GridAdminOptions): ServiceHandlers<typeof admin.GridAdminDefinition> {
  const { node, tasks, metrics, clock } = options;
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
  return {
    getClusterStatus: () => asked(() => clusterStatus(node)),
    listMembers: () => asked(() => ({ members: memberList(node) })),
    listCollections: () =>
      asked(() => ({ collections: node.collections().map((collection) => collectionView(node, collection)) })),
    getCollection: ({ name }) => asked(() => collectionView(node, named(name))),
    getShardDistribution: ({ collection }) =>
      asked(() => shardDistribution(node, collection === '' ? undefined : named(collection))),
    planTask: (request) => tasks.plan(request),
    startTask: (request, context) => tasks.start(request, actorOf(context)),
    updateTask: ({ taskId, options: changed }) => tasks.update(taskId, changed),
    cancelTask: ({ taskId }, context) => tasks.cancel(taskId, actorOf(context)),
    getTask: ({ taskId }) => asked(() => tasks.get(taskId)),
    listTasks: ({ limit, cursor }) => asked(() => tasks.list(limit, cursor)),
    watchTask: ({ taskId }, context) => tasks.watch(taskId, context.signal),
    getMetricsSnapshot: async () => ({
      values: (await metricsJson(metrics)).metrics,
      takenAt: toRfc3339(clock.now()),
    }),
  };
}

/** Who asks, as far as the proxy in front says. */
function actorOf(context: CallContext): string {
  return context.metadata.get('x-oaas-actor') ?? 'admin';
}
