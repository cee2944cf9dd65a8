import { z } from 'zod';
import { type PackageView, packageViewSchema } from '@oaas/commons/client/pm';
import { oaasError } from '@oaas/commons/errors';
import type { ClassDeploymentSpec } from '../model/schema.ts';
import type { PackageState } from '../shell/state.ts';
import { packageView } from '../views/views.ts';
import { type ListDefinition, listQuerySchema, page, sendPage } from './lists.ts';
import type { RestApp, RestContext } from './server.ts';

const byName = z.object({ name: z.string() });
const byKey = z.object({ key: z.string() });
const confirmQuery = z.looseObject({ confirm: z.string().max(500).optional() });
const resultSchema = z.object({ id: z.string(), status: z.string(), message: z.string() });

const packageList: ListDefinition<PackageView> = {
  id: (row) => row.name,
  text: (row) => `${row.name} ${row.metadata.description ?? ''} ${row.metadata.tags.join(' ')}`,
  sort: 'name',
  fields: {
    name: (row) => row.name,
    version: (row) => row.version,
    source: (row) => row.origin.source,
    origin: (row) => row.origin.type,
    classes: (row) => row.classes.length,
    functions: (row) => row.functions.length,
    created_at: (row) => row.created_at,
    updated_at: (row) => row.updated_at,
  },
};

interface DeploymentRow extends ClassDeploymentSpec {
  readonly origin: PackageView['origin'];
  readonly created_at: string;
  readonly updated_at: string;
}

const deploymentList: ListDefinition<DeploymentRow> = {
  id: (row) => `${row.package_name}/${row.key}`,
  text: (row) => `${row.key} ${row.package_name} ${row.class_key}`,
  sort: 'key',
  fields: {
    key: (row) => row.key,
    package_name: (row) => row.package_name,
    package: (row) => row.package_name,
    class_key: (row) => row.class_key,
    source: (row) => row.origin.source,
    origin: (row) => row.origin.type,
    updated_at: (row) => row.updated_at,
  },
};

/** Packages and their deployments. Bodies are YAML or JSON and are read with the place of each mistake. */
export function packageRoutes(app: RestApp, { pm }: RestContext): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: 1024 * 1024 }, (_request, body, done) => {
    done(null, body);
  });
  const read = (kind: string) => ({ access: { action: 'read', kind } }) as const;
  const write = (kind: string, audit: string) => ({ access: { action: 'write', kind, audit } }) as const;
  const remove = (kind: string, audit: string) => ({ access: { action: 'delete', kind, audit } }) as const;
  const bodyOf = (body: unknown) => (typeof body === 'string' ? body : '');
  const heldText = (held: number) => (held === 0 ? '' : ` ${String(held)} of its units wait for a confirmation.`);
  const packageOf = (name: string): PackageState => {
    const found = pm.state.package(name);
    if (found === undefined) throw oaasError('NotFound', `there is no package "${name}"`);
    return found;
  };

  const tags = ['packages'];
  app.get(
    '/packages',
    {
      config: read('package'),
      schema: { tags, querystring: listQuerySchema, response: { 200: z.array(packageViewSchema) } },
    },
    (request, reply) =>
      sendPage(request, reply, page([...pm.state.packages()].map(packageView), request.query, packageList)),
  );
  app.get(
    '/packages/:name',
    { config: read('package'), schema: { tags, params: byName, response: { 200: packageViewSchema } } },
    (request) => packageView(packageOf(request.params.name)),
  );
  app.post(
    '/packages',
    { config: write('package', 'package.create'), schema: { tags, response: { 201: resultSchema } } },
    async (request, reply) => {
      const { name, held } = await pm.api.putPackage(bodyOf(request.body), request.subject?.name ?? '', {
        mustBeNew: true,
      });
      return reply.status(201).send({ id: name, status: 'created', message: `Package created.${heldText(held)}` });
    },
  );
  app.post(
    '/packages/:name',
    { config: write('package', 'package.update'), schema: { tags, params: byName, response: { 200: resultSchema } } },
    async (request) => {
      const { name } = request.params;
      packageOf(name);
      const { held } = await pm.api.putPackage(bodyOf(request.body), request.subject?.name ?? '', { name });
      return { id: name, status: 'updated', message: `Package updated.${heldText(held)}` };
    },
  );
  app.delete(
    '/packages/:name',
    { config: remove('package', 'package.delete'), schema: { tags, params: byName, querystring: confirmQuery } },
    async (request, reply) => {
      await pm.api.deletePackage(request.params.name, request.subject?.name ?? '', request.query.confirm);
      return reply.status(204).send();
    },
  );

  const rows = (): readonly DeploymentRow[] => [...pm.state.packages()].flatMap((each) => rowsOf(each));
  const rowsOf = (each: PackageState): readonly DeploymentRow[] => {
    const { origin, created_at, updated_at } = packageView(each);
    return each.deployments.map((deployment) => ({ ...deployment, origin, created_at, updated_at }));
  };
  /** By key, or by `package/key` where several packages use the key. */
  const deploymentOf = (key: string): DeploymentRow => {
    const [found, ...others] = rows().filter((row) => row.key === key || `${row.package_name}/${row.key}` === key);
    if (found === undefined) throw oaasError('NotFound', `there is no deployment "${key}"`);
    if (others.length === 0) return found;
    const names = [found, ...others].map((row) => `${row.package_name}/${row.key}`);
    throw oaasError('Conflict', `several packages have a deployment "${key}"`, {
      remedy: `Name one of ${names.join(', ')}.`,
    });
  };

  const of = ['deployments'];
  app.get(
    '/deployments',
    { config: read('deployment'), schema: { tags: of, querystring: listQuerySchema } },
    (request, reply) => sendPage(request, reply, page(rows(), request.query, deploymentList)),
  );
  app.get('/deployments/:key', { config: read('deployment'), schema: { tags: of, params: byKey } }, (request) =>
    deploymentOf(request.params.key),
  );
  app.post(
    '/deployments',
    { config: write('deployment', 'deployment.put'), schema: { tags: of, response: { 200: resultSchema } } },
    async (request) => {
      const { key, held } = await pm.api.putDeployment(bodyOf(request.body), request.subject?.name ?? '');
      return { id: key, status: 'created', message: `Deployment accepted.${heldText(held)}` };
    },
  );
  app.delete(
    '/deployments/:key',
    {
      config: remove('deployment', 'deployment.delete'),
      schema: { tags: of, params: byKey, querystring: confirmQuery },
    },
    async (request) => {
      const row = deploymentOf(request.params.key);
      await pm.api.deleteDeployment(row.package_name, row.key, request.subject?.name ?? '', request.query.confirm);
      return { id: row.key, status: 'deleted', message: 'Deployment deleted.' };
    },
  );

  app.get(
    '/classes',
    { config: read('package'), schema: { tags: ['classes'], querystring: listQuerySchema } },
    (request, reply) => {
      const all = [...pm.state.packages()].flatMap(({ spec }) =>
        spec.classes.map((each) => ({ ...each, key: `${spec.name}.${each.key}`, package_name: spec.name })),
      );
      const definition = {
        id: (row: (typeof all)[number]) => row.key,
        text: (row: (typeof all)[number]) => row.key,
        sort: 'key',
        fields: {
          key: (row: (typeof all)[number]) => row.key,
          package: (row: (typeof all)[number]) => row.package_name,
        },
      };
      return sendPage(request, reply, page(all, request.query, definition));
    },
  );
  app.get(
    '/functions',
    { config: read('package'), schema: { tags: ['functions'], querystring: listQuerySchema } },
    (request, reply) => {
      const all = [...pm.state.packages()].flatMap(({ spec }) =>
        spec.functions.map((each) => ({ ...each, package_name: spec.name })),
      );
      const definition = {
        id: (row: (typeof all)[number]) => `${row.package_name}/${row.key}`,
        text: (row: (typeof all)[number]) => row.key,
        sort: 'key',
        fields: {
          key: (row: (typeof all)[number]) => row.key,
          package: (row: (typeof all)[number]) => row.package_name,
          function_type: (row: (typeof all)[number]) => row.function_type,
        },
      };
      return sendPage(request, reply, page(all, request.query, definition));
    },
  );
}
