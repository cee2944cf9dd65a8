import type { ServiceHandlers } from '@oaas/commons/grpc';
import { oaasError } from '@oaas/commons/errors';
import type { Metrics } from '@oaas/commons/telemetry';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import type { admin } from '@oaas/proto';
import type { GridNode } from '../node/index.ts';
import { metricsJson } from './json.ts';
import { clusterStatus, collectionView, memberList, shardDistribution } from './view.ts';

export interface GridAdminOptions {
  readonly node: GridNode;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

/** The part of `oaas.admin.v1.GridAdmin` that this build has; the other methods answer UNIMPLEMENTED. */
export function gridAdminService(options: GridAdminOptions): ServiceHandlers<typeof admin.GridAdminDefinition> {
  const { node, metrics, clock } = options;
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
    getMetricsSnapshot: async () => ({
      values: (await metricsJson(metrics)).metrics,
      takenAt: toRfc3339(clock.now()),
    }),
  };
}
