import { once } from 'node:events';
import { type JsonValue, oaasError, toOaasError, toProblem } from '@oaas/commons/errors';
import { type Logger, type Metrics, type OpsHandler } from '@oaas/commons/telemetry';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { GridNode, HostedCollection } from '../node/index.ts';
import { flagOf, parametersOf, readable } from './parameters.ts';
import { type Action, actions, audited } from './actions.ts';
import type { Audit, AuditedCall } from './audit.ts';
import { actorHeader, type Caller, httpCaller } from './caller.ts';
import type { Collections } from './collections.ts';
import { addDeadLetterRoutes } from './dead-letter-routes.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { AdminAccess, Need } from './access.ts';
import { Members } from './members.ts';
import { GridSettings } from './settings.ts';
import { diagnose, inputOf } from './diagnostics/index.ts';
import { collectionJson, metricsJson, snakeCase } from './json.ts';
import type { Tasks } from './tasks.ts';
import type { VersionHolders } from './version-holders.ts';
import { addVersionRoutes } from './versions.ts';
import { clusterStatus, collectionView, isAnswering, memberList, shardDistribution, shownState } from './view.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route reads a body. */
    takesBody?: boolean;
    /** What audit records call its calls; each route that changes something has one. */
    action?: Action;
  }
}

export interface AdminHttpOptions {
  readonly node: GridNode;
  readonly tasks: Tasks;
  readonly collections: Collections;
  readonly versions: VersionHolders;
  readonly deadLetters: DeadLetters;
  readonly metrics: Metrics;
  /** Answers /health, /ready, /metrics and /status. */
  readonly ops: OpsHandler;
  /** Asked of every call under /admin. */
  readonly access: AdminAccess;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Requests are small: hardly a path here takes a body. */
const bodyBytesMax = 16 * 1024;
/** Names and ids have up to 160 characters, each of which may be escaped. */
const maxParamLength = 500;

/**
 * The admin API: JSON over HTTP, answered from this node's view of the whole grid. Errors are RFC 9457 problems.
 * Browsers of other origins get nothing: there are no CORS headers.
 */
export function createAdminHttp(options: AdminHttpOptions): FastifyInstance {
  const { node, tasks, collections, versions, audit, access, clock, logger } = options;
  const actorOf = async ({ headers }: FastifyRequest): Promise<string> =>
    (await access.subjectOf(headers.authorization)) ?? said(headers);
  const callerOf = async (request: FastifyRequest): Promise<Caller> =>
    httpCaller(request.headers.authorization, await actorOf(request));
  const app = fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    requestTimeout: 10_000,
    keepAliveTimeout: 5000,
    routerOptions: { maxParamLength },
  });

  // A server that closes waits for its answers, and these have no end while their task has none.
  const watches = new Set<AbortController>();
  app.addHook('preClose', (done) => {
    for (const watch of watches) watch.abort();
    done();
  });
  app.addHook('onRequest', async (request, reply) => {
    if (await options.ops(request.raw, reply.raw)) {
      reply.hijack();
      return;
    }
    // Whatever the path looks like: what routes are matched with is not what the line says, as in /%61dmin.
    await access.check(request.headers.authorization, needOf(request));
  });
  // Else a change would be made as if what the body asks for had not been said.
  app.addHook('preHandler', (request, _reply, done) => {
    const isHeeded = request.method === 'GET' || request.routeOptions.config.takesBody === true;
    if (isHeeded || isEmpty(request.body)) done();
    else {
      const remedy = 'Give options as query parameters.';
      done(oaasError('InvalidArgument', 'body: this path takes none', { remedy }));
    }
  });
  // Every call that changes something leaves a record, whatever becomes of it; one that cannot be recorded fails.
  app.addHook('onError', async (request, _reply, error) => {
    if (isChanging(request)) await audit.failed(auditedCall(request, await actorOf(request)), error);
  });
  app.addHook('onSend', async (request, reply) => {
    if (isChanging(request) && reply.statusCode < 400)
      await audit.succeeded(auditedCall(request, await actorOf(request)));
  });
  app.setErrorHandler((thrown, request, reply) => {
    const error = isClientError(thrown) ? oaasError('InvalidArgument', thrown.message) : toOaasError(thrown);
    const problem = toProblem(error, { instance: request.url });
    if (problem.status >= 500) logger.error({ err: thrown, path: request.url }, 'admin request failed');
    if (error.code === 'Unauthenticated') void reply.header('www-authenticate', 'Bearer');
    void reply.code(problem.status).type('application/problem+json').send(problem);
  });
  app.setNotFoundHandler((request) => {
    throw oaasError('NotFound', `there is no ${request.method} ${request.url.split('?', 1)[0] ?? ''}`, {
      remedy: 'Check the path against the admin API of this version.',
    });
  });

  /** All answers are made from what the members say of themselves: ask them first. */
  const asked = async <T>(answer: () => T): Promise<T> => {
    await node.reports.refresh();
    return answer();
  };

  const named = (name: string): HostedCollection => {
    const collection = node.collections().find(({ spec }) => spec.name === name);
    if (collection === undefined) throw oaasError('NotFound', `there is no collection "${name}"`);
    return collection;
  };

  app.get('/admin/cluster/status', () =>
    asked(() => {
      const { leaderNode, ...status } = clusterStatus(node);
      return { ...snakeCase(status), leader_node: leaderNode === '' ? null : leaderNode };
    }),
  );
  app.get('/admin/cluster/members', () => asked(() => ({ members: memberList(node).map(snakeCase) })));
  app.get('/admin/collections', () =>
    asked(() => ({
      collections: node.collections().map((collection) => collectionJson(collectionView(node, collection))),
    })),
  );
  app.get<{ Params: { name: string } }>('/admin/collections/:name', ({ params }) =>
    asked(() => collectionJson(collectionView(node, named(params.name)))),
  );
  app.put<{ Params: { name: string } }>(
    '/admin/collections/:name',
    { config: { ...audited(actions.createCollection).config, takesBody: true } },
    async ({ params, query, body }, reply) => {
      parametersOf(query, []);
      return reply.code(201).send(collectionJson(await collections.create(params.name, body ?? {})));
    },
  );
  /** `?dry_run=true` says what would go, and leaves it. */
  app.delete<{ Params: { name: string } }>(
    '/admin/collections/:name',
    audited(actions.deleteCollection),
    async ({ params, query }) => {
      const { dry_run: dryRun } = parametersOf(query, ['dry_run']);
      return snakeCase(
        await (flagOf('dry_run', dryRun) ? collections.lookAt(params.name) : collections.delete(params.name)),
      );
    },
  );
  addVersionRoutes(app, versions, callerOf);
  app.get('/admin/shards/distribution', ({ query }) => {
    const { collection } = parametersOf(query, ['collection']);
    return asked(() => snakeCase(shardDistribution(node, collection === undefined ? undefined : named(collection))));
  });
  app.get('/admin/tasks', ({ query }) => {
    const { limit = '0', cursor = '' } = parametersOf(query, ['limit', 'cursor']);
    return asked(() => snakeCase(tasks.list(limit === '' ? NaN : Number(limit), cursor)));
  });
  app.get<{ Params: { id: string } }>('/admin/tasks/:id', ({ params }) => asked(() => snakeCase(tasks.get(params.id))));
  app.post<{ Params: { id: string } }>('/admin/tasks/:id/cancel', audited(actions.cancelTask), async (request) => {
    parametersOf(request.query, []);
    return snakeCase(await tasks.cancel(request.params.id, await actorOf(request)));
  });
  app.post<{ Params: { id: string } }>(
    '/admin/tasks/:id/throttle',
    audited(actions.updateTask),
    async ({ params, query }) => snakeCase(await tasks.update(params.id, parametersOf(query))),
  );
  app.get<{ Params: { id: string } }>('/admin/tasks/:id/events', async ({ params }, reply) => {
    tasks.get(params.id);
    const closed = new AbortController();
    watches.add(closed);
    reply.raw.once('close', () => {
      closed.abort();
      watches.delete(closed);
    });
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    try {
      for await (const task of tasks.watch(params.id, closed.signal)) {
        // What changes while the reader does not read is told by the next state.
        if (!reply.raw.write(`event: task\ndata: ${JSON.stringify(snakeCase(task))}\n\n`))
          await once(reply.raw, 'drain', { signal: closed.signal });
      }
    } catch (error) {
      if (!closed.signal.aborted) logger.warn({ err: error }, 'a stream of task events ended');
    }
    reply.raw.end();
  });

  /** A task by its kind; `?dry_run=true` gives the plan instead. Other parameters are options of the task. */
  const begin = async (
    kind: string,
    collection: string,
    member: string,
    request: FastifyRequest,
    taken: readonly string[] = [],
  ) => {
    const { dry_run: dryRun, plan_id: planId = '', ...rest } = parametersOf(request.query);
    const options = Object.fromEntries(Object.entries(rest).filter(([name]) => !taken.includes(name)));
    const ask = { kind, collection, member, options, planId };
    if (flagOf('dry_run', dryRun)) return snakeCase(await tasks.plan(ask));
    const task = await tasks.start(ask, await actorOf(request));
    return { success: true, task_id: task.id, message: task.message };
  };
  const starts = (kind: string) => audited(actions.startTask(kind));
  app.post<{ Params: { name: string } }>('/admin/collections/:name/rebalance', starts('rebalance'), (request) =>
    begin('rebalance', request.params.name, '', request),
  );
  app.post<{ Params: { name: string } }>(
    '/admin/collections/:name/consistency-check',
    starts('consistency-check'),
    (request) => begin('consistency-check', request.params.name, '', request),
  );
  // Of any kind: `?kind=`, and `collection` and `member` where it needs them.
  app.post(
    '/admin/tasks',
    audited(({ kind = '' }) => actions.startTask(kind)),
    (request) => {
      const { kind = '', collection = '', member = '' } = parametersOf(request.query);
      return begin(kind, collection, member, request, ['kind', 'collection', 'member']);
    },
  );
  app.post('/admin/rebalance', starts('rebalance'), (request) => begin('rebalance', '', '', request));
  app.post<{ Params: { id: string } }>('/admin/members/:id/drain', starts('drain'), (request) =>
    begin('drain', '', request.params.id, request),
  );
  const settings = new GridSettings(node);
  app.get('/admin/settings', ({ query }) => {
    parametersOf(query, []);
    return snakeCase(settings.get());
  });
  app.put(
    '/admin/settings',
    { config: { ...audited(actions.changeSettings).config, takesBody: true } },
    async ({ query, body }) => {
      parametersOf(query, []);
      return snakeCase(await settings.change(body ?? {}));
    },
  );
  const members = new Members(node);
  app.post<{ Params: { id: string } }>(
    '/admin/members/:id/recommission',
    audited(actions.recommissionMember),
    async (request) => {
      parametersOf(request.query, []);
      return members.recommission(request.params.id, await actorOf(request));
    },
  );
  app.delete<{ Params: { id: string } }>('/admin/members/:id', audited(actions.removeMember), ({ params, query }) => {
    parametersOf(query, []);
    return members.remove(params.id);
  });
  // With collection and partition: that replica is made anew from the others, whatever is known of it.
  app.post<{ Params: { id: string } }>('/admin/members/:id/repair', starts('repair'), (request) =>
    begin('repair', parametersOf(request.query)['collection'] ?? '', request.params.id, request, ['collection']),
  );
  addDeadLetterRoutes(app, options.deadLetters, callerOf);
  app.get('/admin/checks', () => asked(() => ({ checks: tasks.checks().map(snakeCase) })));
  app.get('/admin/diagnostics', () =>
    asked(() => ({ ...snakeCase(diagnose(inputOf(node, clock))), taken_at: toRfc3339(clock.now()) })),
  );
  app.get('/admin/metrics', () => metricsJson(options.metrics));
  app.get('/admin/health', (_request, reply) =>
    asked(() => {
      const views = node.collections().map((one) => collectionView(node, one));
      const unwell = views.filter(({ state }) => state !== 'ready');
      const away = node.members().filter((view) => !isAnswering(view));
      const members = away.map((view) => ({
        ...{ id: view.record.id, state: shownState(node, view), reason: view.problem ?? '' },
      }));
      const missed = members.filter(({ state }) => state !== 'drained');
      const status = node.isReady ? (unwell.length + missed.length > 0 ? 'degraded' : 'ok') : node.phase;
      return reply.code(node.isReady ? 200 : 503).send({
        status,
        node: node.self.id,
        collections: unwell.map(({ name, reason }) => ({ name, reason })),
        members,
      } satisfies JsonValue);
    }),
  );
  return app;
}

function isEmpty(body: unknown): boolean {
  return body === undefined || body === null || (typeof body === 'object' && Object.keys(body).length === 0);
}

/** Versions and branches are data of a collection; what is about tasks, members or the grid needs the whole of it. */
function needOf(request: FastifyRequest): Need {
  const url = request.routeOptions.url ?? '';
  const query = readable(request.query);
  const { name } = request.params as { readonly name?: string };
  const isOfOne = url.startsWith('/admin/collections/:name');
  const isFiltered = url === '/admin/shards/distribution' || /^\/admin\/dead-letters(\/replay|\/purge)?$/.test(url);
  const collection = isOfOne ? name : isFiltered ? query['collection'] : undefined;
  if (request.method === 'HEAD' || !isChanging(request)) return { permission: 'Read', collection };
  if (request.method === 'DELETE' && url === '/admin/collections/:name') return { permission: 'Delete', collection };
  const isData = /^\/admin\/collections\/:name\/(versions|branches)\//.test(url);
  return { permission: isData ? 'Write' : 'Admin', collection };
}

/** A plan that is only looked at changes nothing. */
function isChanging({ method, query, routeOptions }: FastifyRequest): boolean {
  const isDryRun = readable(query)['dry_run'] === 'true' && dryRuns.has(`${method} ${routeOptions.url ?? ''}`);
  return method !== 'GET' && method !== 'HEAD' && !isDryRun;
}

/** Elsewhere the word changes nothing. */
const dryRuns: ReadonlySet<string> = new Set([
  'DELETE /admin/collections/:name',
  'POST /admin/dead-letters/replay',
  'POST /admin/dead-letters/purge',
  'POST /admin/collections/:name/branches/:branch/merge',
  'POST /admin/collections/:name/rebalance',
  'POST /admin/collections/:name/consistency-check',
  'POST /admin/members/:id/drain',
  'POST /admin/members/:id/repair',
  'POST /admin/rebalance',
  'POST /admin/tasks',
]);

/**
 * What the path names first is what the call is about: `/admin/members/n1/drain` of `member/n1`. What else it names belongs
 * to what was asked for.
 */
function auditedCall(request: FastifyRequest, subject: string): AuditedCall {
  const [kind = '', name] = (request.routeOptions.url ?? '').split('/').slice(2);
  const [[, one] = [], ...others] = Object.entries(request.params as Record<string, string>);
  const isNamed = name?.startsWith(':') === true && one !== undefined;
  const path = request.url.split('?', 1)[0] ?? '';
  const query = readable(request.query);
  const { action = 'unknown' } = request.routeOptions.config;
  return {
    subject,
    action: typeof action === 'string' ? action : action(query),
    resource: isNamed ? `${kind.replace(/s$/, '')}/${one}` : path,
    from: { address: request.ip, via: 'rest' },
    diff: {
      ...Object.fromEntries(others),
      ...query,
      ...(request.method === 'PUT' ? { body: (request.body ?? null) as JsonValue } : {}),
    },
  };
}

/** Who asks, as far as the proxy in front says. */
function said(headers: FastifyRequest['headers']): string {
  const actor = headers[actorHeader];
  return typeof actor === 'string' ? actor : 'admin';
}

/** What fastify itself refuses: a malformed URL, a body that is too large. */
function isClientError(error: unknown): error is Error & { statusCode: number } {
  const status = (error as { statusCode?: unknown }).statusCode;
  return error instanceof Error && typeof status === 'number' && status >= 400 && status < 500;
}
