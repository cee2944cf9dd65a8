import { z } from 'zod';
import { clusterHealthSchema, clusterSchema, type ClusterView, gridSchema } from '@oaas/commons/client/pm';
import { oaasError } from '@oaas/commons/errors';
import { toRfc3339 } from '@oaas/commons/time';
import type { ClusterAgent } from '../cluster/agent.ts';
import { gridView } from '../views/grid.ts';
import { clusterHealth, clusterViews } from '../views/views.ts';
import { type ListDefinition, listQuerySchema, page, sendPage } from './lists.ts';
import type { RestApp, RestContext } from './server.ts';

const list: ListDefinition<ClusterView> = {
  id: (row) => row.name,
  text: (row) => `${row.name} ${row.url}`,
  sort: 'name',
  fields: {
    name: (row) => row.name,
    connection: (row) => row.connection,
    health: (row) => row.health.status,
    records: (row) => row.records,
    in_sync: (row) => row.in_sync,
    queue_depth: (row) => row.queue_depth,
  },
};

export function clusterRoutes(app: RestApp, { pm, records, clock, logger }: RestContext): void {
  const read = { access: { action: 'read', kind: 'cluster' } } as const;
  const agentOf = (name: string): ClusterAgent => {
    const agent = pm.agents.get(name);
    if (agent === undefined)
      throw oaasError('NotFound', `there is no cluster "${name}"`, {
        remedy: `Known: ${[...pm.agents.keys()].join(', ')}.`,
      });
    return agent;
  };

  // envs is what older clients call them.
  for (const noun of ['clusters', 'envs']) {
    const tags = ['clusters'];
    app.get(
      `/${noun}`,
      { config: read, schema: { tags, querystring: listQuerySchema, response: { 200: z.array(clusterSchema) } } },
      (request, reply) => sendPage(request, reply, page(clusterViews(pm, records), request.query, list)),
    );
    app.get(
      `/${noun}/health`,
      { config: read, schema: { tags, response: { 200: z.array(clusterHealthSchema) } } },
      () => [...pm.agents.values()].map(clusterHealth),
    );
    app.get(
      `/${noun}/:name/health`,
      {
        config: read,
        schema: { tags, params: z.object({ name: z.string() }), response: { 200: clusterHealthSchema } },
      },
      (request) => clusterHealth(agentOf(request.params.name)),
    );
  }

  app.get(
    '/grid/:environment/:id',
    {
      config: { access: { action: 'read', kind: 'grid' } },
      schema: {
        tags: ['grid'],
        params: z.object({ environment: z.string(), id: z.string() }),
        response: { 200: gridSchema },
      },
    },
    (request) => {
      const agent = agentOf(request.params.environment);
      if (agent.isSynced && agent.observed(request.params.id) === undefined) {
        throw oaasError('NotFound', `the cluster "${agent.name}" has no deployment "${request.params.id}"`);
      }
      return gridView(agent, request.params.id, clock);
    },
  );

  app.get(
    '/topology',
    { config: read, schema: { tags: ['topology'], querystring: z.looseObject({ source: z.string().default('') }) } },
    async (request) => {
      const snapshots = await Promise.all(
        [...pm.agents.values()].map((agent) =>
          agent.topology.getTopology({ source: request.query.source }).catch((error: unknown) => {
            logger.info({ err: error, cluster: agent.name }, 'a cluster did not tell its topology');
            return undefined;
          }),
        ),
      );
      return {
        nodes: snapshots
          .flatMap((each) => each?.nodes ?? [])
          .map((node) => ({
            id: node.id,
            node_type: node.nodeType,
            status: node.status,
            metadata: node.metadata,
            deployed_classes: node.deployedClasses,
          })),
        edges: snapshots
          .flatMap((each) => each?.edges ?? [])
          .map((edge) => ({ from_id: edge.fromId, to_id: edge.toId, metadata: edge.metadata })),
        timestamp: toRfc3339(clock.now()),
      };
    },
  );
}
