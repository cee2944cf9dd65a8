import { z } from 'zod';
import {
  planSchema,
  refSchema,
  type Source,
  sourceInputSchema,
  sourceSchema,
  syncRunSchema,
} from '@oaas/commons/client/pm';
import { oaasError } from '@oaas/commons/errors';
import { runViews, sourceView } from '../views/views.ts';
import { type ListDefinition, listQuerySchema, page, sendPage } from './lists.ts';
import type { RestApp, RestContext } from './server.ts';

const byName = z.object({ name: z.string() });
const tags = ['sources'];

const list: ListDefinition<Source> = {
  id: (row) => row.name,
  text: (row) => `${row.name} ${row.url}`,
  sort: 'name',
  fields: {
    name: (row) => row.name,
    phase: (row) => row.phase,
    url: (row) => row.url,
    packages: (row) => row.packages,
    updated_at: (row) => row.updated_at,
    last_checked_at: (row) => row.last_checked_at,
  },
};

export function sourceRoutes(app: RestApp, { pm }: RestContext): void {
  const view = (name: string): Source => sourceView(pm, pm.sourceState(name));
  const read = { access: { action: 'read', kind: 'source' } } as const;
  const write = (audit: string) => ({ access: { action: 'write', kind: 'source', audit } }) as const;

  app.get(
    '/sources',
    { config: read, schema: { tags, querystring: listQuerySchema, response: { 200: z.array(sourceSchema) } } },
    (request, reply) => {
      const rows = [...pm.state.sources()].map((source) => sourceView(pm, source));
      return sendPage(request, reply, page(rows, request.query, list));
    },
  );
  app.get(
    '/sources/:name',
    { config: read, schema: { tags, params: byName, response: { 200: sourceSchema } } },
    (request) => view(request.params.name),
  );
  app.put(
    '/sources/:name',
    {
      config: { access: { action: 'administer', kind: 'source', audit: 'source.put' } },
      schema: { tags, params: byName, body: sourceInputSchema, response: { 200: sourceSchema } },
    },
    async (request) => {
      const { name } = request.params;
      if (request.body.name !== name) {
        throw oaasError('InvalidArgument', `the body has the source "${request.body.name}", the address "${name}"`, {
          remedy: 'Use the same name in both.',
        });
      }
      await pm.putSource(request.body);
      return view(name);
    },
  );
  app.delete(
    '/sources/:name',
    {
      config: { access: { action: 'administer', kind: 'source', audit: 'source.delete' } },
      schema: { tags, params: byName },
    },
    async (request, reply) => {
      await pm.deleteSource(request.params.name);
      return reply.status(204).send();
    },
  );
  app.post(
    '/sources/:name/sync',
    { config: write('source.sync'), schema: { tags, params: byName, response: { 200: sourceSchema } } },
    (request) => {
      pm.sync(request.params.name, request.subject?.name ?? '');
      return view(request.params.name);
    },
  );
  app.post(
    '/sources/:name/suspend',
    {
      config: write('source.suspend'),
      schema: {
        tags,
        params: byName,
        body: z.object({ reason: z.string().max(1000).default('') }),
        response: { 200: sourceSchema },
      },
    },
    async (request) => {
      await pm.suspend(request.params.name, request.subject?.name ?? '', request.body.reason);
      return view(request.params.name);
    },
  );
  app.post(
    '/sources/:name/resume',
    { config: write('source.resume'), schema: { tags, params: byName, response: { 200: sourceSchema } } },
    async (request) => {
      await pm.resume(request.params.name, request.subject?.name ?? '');
      return view(request.params.name);
    },
  );
  app.post(
    '/sources/:name/rollback',
    {
      config: write('source.rollback'),
      schema: {
        tags,
        params: byName,
        body: z.object({ commit: z.string().min(7).max(64) }),
        response: { 200: sourceSchema },
      },
    },
    async (request) => {
      await pm.rollback(request.params.name, request.body.commit, request.subject?.name ?? '');
      return view(request.params.name);
    },
  );
  app.get(
    '/sources/:name/history',
    {
      config: read,
      schema: { tags, params: byName, querystring: listQuerySchema, response: { 200: z.array(syncRunSchema) } },
    },
    (request, reply) => {
      pm.sourceState(request.params.name);
      const rows = runViews(pm, request.params.name);
      const result = page(rows, request.query, {
        id: (run) => run.id,
        text: (run) => `${run.commit.id} ${run.commit.message} ${run.actor}`,
        sort: '-started_at',
        fields: {
          started_at: (run) => run.started_at,
          phase: (run) => run.phase,
          trigger: (run) => run.trigger,
          commit: (run) => run.commit.id,
        },
      });
      return sendPage(request, reply, result);
    },
  );

  const plan = { access: { action: 'read', kind: 'plan' } } as const;
  app.get(
    '/plans/:id',
    { config: plan, schema: { tags: ['plans'], params: z.object({ id: z.string() }), response: { 200: planSchema } } },
    async (request) => {
      const found = await pm.state.plan(request.params.id);
      if (found === undefined)
        throw oaasError('NotFound', `there is no plan "${request.params.id}"`, {
          remedy: 'Older plans are deleted; make a new one.',
        });
      return found;
    },
  );
  app.post(
    '/plans',
    {
      config: { access: { action: 'write', kind: 'plan', audit: 'plan.create' } },
      schema: {
        tags: ['plans'],
        body: z.object({ source: z.string(), ref: refSchema }),
        response: { 200: planSchema },
      },
    },
    (request) => pm.preview(request.body.source, request.body.ref),
  );
}
