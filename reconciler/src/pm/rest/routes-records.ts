import { z } from 'zod';
import {
  type DeploymentRecordDetail,
  deploymentRecordDetailSchema,
  deploymentRecordSchema,
  type DeploymentRecordView,
} from '@oaas/commons/client/pm';
import { oaasError } from '@oaas/commons/errors';
import { recordDetail } from '../views/records.ts';
import { type ListDefinition, listQuerySchema, page, sendPage } from './lists.ts';
import type { RestApp, RestContext } from './server.ts';

const byId = z.object({ id: z.string() });
const tags = ['deployment records'];

const list: ListDefinition<DeploymentRecordView> = {
  id: (row) => row.id,
  text: (row) => `${row.id} ${row.package_name} ${row.class_key} ${row.deployment_key}`,
  sort: 'package_name',
  fields: {
    id: (row) => row.id,
    package: (row) => row.package_name,
    package_name: (row) => row.package_name,
    class: (row) => row.class_key,
    class_key: (row) => row.class_key,
    environment: (row) => row.target_environment,
    env: (row) => row.target_environment,
    target_env: (row) => row.target_environment,
    target_environment: (row) => row.target_environment,
    cluster: (row) => row.cluster_name,
    cluster_name: (row) => row.cluster_name,
    deployment_key: (row) => row.deployment_key,
    source: (row) => row.source,
    commit: (row) => row.commit,
    condition: (row) => row.status.condition,
    phase: (row) => row.status.phase,
    status: (row) => row.status.condition,
    sync: (row) => row.axes.sync.status,
    health: (row) => row.axes.health.status,
    data: (row) => row.axes.data.status,
    nfr: (row) => row.axes.nfr.status,
    objects: (row) => row.axes.data.objects,
    held: (row) => row.hold !== null,
    template: (row) => row.template,
    created_at: (row) => row.created_at,
    updated_at: (row) => row.updated_at,
  },
};

export function recordRoutes(app: RestApp, { pm, records }: RestContext): void {
  const read = { access: { action: 'read', kind: 'deployment' } } as const;
  const detail = (id: string): DeploymentRecordDetail => {
    const facts = records.facts(id);
    if (facts === undefined) throw oaasError('NotFound', `there is no deployment record "${id}"`);
    return recordDetail(facts);
  };

  // class-runtimes is what older clients call them.
  for (const noun of ['deployment-records', 'class-runtimes']) {
    app.get(
      `/${noun}`,
      {
        config: read,
        schema: { tags, querystring: listQuerySchema, response: { 200: z.array(deploymentRecordSchema) } },
      },
      (request, reply) => sendPage(request, reply, page(records.all(), request.query, list)),
    );
    app.get(
      `/${noun}/:id`,
      { config: read, schema: { tags, params: byId, response: { 200: deploymentRecordDetailSchema } } },
      (request) => detail(request.params.id),
    );
  }
  app.post(
    '/deployment-records/:id/confirm',
    {
      config: { access: { action: 'write', kind: 'deployment', audit: 'deployment.confirm' } },
      schema: {
        tags,
        params: byId,
        body: z.object({ confirm: z.string().max(500) }),
        response: { 200: deploymentRecordDetailSchema },
      },
    },
    async (request) => {
      await pm.confirm(request.params.id, request.body.confirm);
      return detail(request.params.id);
    },
  );
  app.get('/deployment-status/:id', { config: read, schema: { tags, params: byId } }, (request) => {
    const { id, status, package_name, class_key, target_environment, axes } = detail(request.params.id);
    return { id, status: status.condition, ...status, package_name, class_key, target_environment, axes };
  });
}
