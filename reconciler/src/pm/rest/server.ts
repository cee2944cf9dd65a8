import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { IncomingMessage, ServerResponse } from 'node:http';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  type RawServerDefault,
} from 'fastify';
import { jsonSchemaTransform, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { type OaasError, oaasError, toOaasError, toProblem } from '@oaas/commons/errors';
import type { HealthRegistry } from '@oaas/commons/lifecycle';
import { acceptCorrelationId, type Logger, newCorrelationId, withCorrelation } from '@oaas/commons/telemetry';
import type { Clock, Random, Timers } from '@oaas/commons/time';
import type { PackageManager } from '../shell/manager.ts';
import { RecordIndex } from '../views/record-index.ts';
import { type AuthOptions, authorise, roleOf } from '../access.ts';
import { authenticate } from './auth.ts';
import { clusterRoutes } from './routes-clusters.ts';
import { generalRoutes } from './routes-general.ts';
import { packageRoutes } from './routes-packages.ts';
import { recordRoutes } from './routes-records.ts';
import { sourceRoutes } from './routes-sources.ts';
import { webhookRoutes } from './routes-webhooks.ts';

export interface RestOptions {
  readonly pm: PackageManager;
  readonly auth: AuthOptions;
  readonly health: HealthRegistry;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly version: string;
}

/** What the routes need. */
export interface RestContext extends RestOptions {
  readonly records: RecordIndex;
}

export type RestApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** Bytes of a request body, except where a route says otherwise. Over it: 413. */
const bodyMaxBytes = 4 * 1024 * 1024;

/** PM's REST API (`/api/v1`), with its OpenAPI document and pages. Errors are problem documents (RFC 9457). */
export async function createRestServer(options: RestOptions): Promise<FastifyInstance> {
  const app = Fastify({
    logger: false,
    bodyLimit: bodyMaxBytes,
    requestTimeout: 60_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 500 },
  });
  app.setValidatorCompiler(validatorCompiler);
  // Schemas of answers document them; checking each answer again would cost more than making it.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.decorateRequest('subject', undefined);
  addHooks(app, options);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Package Manager',
        version: options.version,
        description: 'Desired state from Git, applied to clusters.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  await app.register(swaggerUi, { routePrefix: '/api/v1/docs' });

  const context: RestContext = { ...options, records: new RecordIndex(options.pm) };
  await app.register(
    (scope, _options, done) => {
      const typed = scope.withTypeProvider<ZodTypeProvider>();
      sourceRoutes(typed, context);
      recordRoutes(typed, context);
      clusterRoutes(typed, context);
      generalRoutes(typed, context);
      done();
    },
    { prefix: '/api/v1' },
  );
  await app.register(
    (scope, _options, done) => {
      packageRoutes(scope.withTypeProvider<ZodTypeProvider>(), context);
      done();
    },
    { prefix: '/api/v1' },
  );
  await app.register(
    (scope, _options, done) => {
      webhookRoutes(scope.withTypeProvider<ZodTypeProvider>(), context);
      done();
    },
    { prefix: '/api/v1' },
  );
  app.get('/api/v1/openapi.json', { schema: { hide: true } }, () => app.swagger());
  for (const [path, kind] of [
    ['/health', 'liveness'],
    ['/ready', 'readiness'],
  ] as const) {
    app.get(path, { schema: { hide: true } }, async (_request, reply) => {
      const report = await options.health.report(kind);
      return reply.status(report.ok ? 200 : 503).send({ status: report.ok ? 'ok' : 'failing', checks: report.checks });
    });
  }
  return app;
}

function addHooks(app: FastifyInstance, options: RestOptions): void {
  const { logger, pm } = options;
  app.addHook('onRequest', (request, reply, done) => {
    const id = acceptCorrelationId(headerOf(request, 'x-correlation-id')) ?? newCorrelationId(options.random);
    reply.header('x-correlation-id', id);
    withCorrelation(id, done);
  });
  app.addHook('onRequest', (request, _reply, done) => {
    const { access } = request.routeOptions.config;
    if (access !== undefined) {
      request.subject = authenticate(request, options.auth);
      authorise(request.subject, access, nameOf(request));
    }
    done();
  });
  // Before the answer leaves: a change that cannot be recorded must not look as if all were well.
  app.addHook('onSend', async (request, reply, payload) => {
    const audit = request.routeOptions.config.access?.audit;
    if (audit === undefined) return payload;
    const { statusCode } = reply;
    const isDenied = statusCode === 401 || statusCode === 403;
    await pm.audit.record({
      actor: request.subject?.name ?? 'unknown',
      role: request.subject === undefined ? '' : roleOf(request.subject),
      action: audit,
      resource: nameOf(request) ?? '',
      remote_address: request.ip,
      result: statusCode < 400 ? 'succeeded' : isDenied ? 'denied' : 'failed',
      detail: `${request.method} ${request.url.split('?', 1)[0] ?? ''} ${String(statusCode)}`,
    });
    return payload;
  });
  app.setErrorHandler((thrown, request, reply) => {
    const error = httpError(thrown);
    const problem = toProblem(error, { instance: request.url.split('?', 1)[0] });
    if (problem.status >= 500)
      logger.error({ err: error, method: request.method, url: request.url }, 'a request failed');
    if (error.retryAfterMs !== undefined) reply.header('retry-after', String(Math.ceil(error.retryAfterMs / 1000)));
    if (problem.status === 401) reply.header('www-authenticate', 'Bearer');
    return reply.status(problem.status).header('content-type', 'application/problem+json').send(problem);
  });
  app.setNotFoundHandler((request, reply) => {
    const problem = toProblem(
      oaasError('NotFound', `there is no ${request.method} ${request.url.split('?', 1)[0] ?? ''}`, {
        remedy: 'See /api/v1/docs.',
      }),
    );
    return reply.status(404).header('content-type', 'application/problem+json').send(problem);
  });
}

/** Fastify's own errors in the words of the table. */
function httpError(thrown: unknown): OaasError {
  const { statusCode, validation, message } = thrown as {
    statusCode?: number;
    validation?: readonly { instancePath?: string; message?: string }[];
    message?: string;
  };
  if (validation !== undefined) {
    const fields = validation.map(
      (each) => `${(each.instancePath ?? '').replace(/^\//, '').replaceAll('/', '.')}: ${each.message ?? ''}`,
    );
    return oaasError('InvalidArgument', fields.join('; '), { details: { fields } });
  }
  if (statusCode === 413) return oaasError('PayloadTooLarge', message ?? 'the body is too large');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return oaasError('InvalidArgument', message ?? 'the request is not valid');
  return toOaasError(thrown);
}

function nameOf(request: FastifyRequest): string | undefined {
  const params = (request.params ?? {}) as Readonly<Record<string, string | undefined>>;
  return params['name'] ?? params['id'] ?? params['key'] ?? params['source'];
}

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}
