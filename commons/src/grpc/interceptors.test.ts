import {
  type Attributes,
  type Context,
  createContextKey,
  type Span,
  SpanStatusCode,
  type TextMapPropagator,
  type Tracer,
} from '@opentelemetry/api';
import { data } from '@oaas/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { simulatedTime } from '../../testkit/index.ts';
import { oaasError } from '../errors/index.ts';
import type { AuditRecord, AuditSink } from '../security/index.ts';
import { systemClock, systemRandom, systemTimers } from '../system/index.ts';
import { createLogger, withCorrelation } from '../telemetry/index.ts';
import { createEdgeChannel, createEdgeServer } from './edge/index.ts';
import {
  audit,
  auditResourceKey,
  authenticate,
  createGrpcClient,
  createGrpcServer,
  type GrpcServerOptions,
  type Interceptor,
  type ServiceHandlers,
  subjectOf,
  traced,
} from './index.ts';

const definition = data.DataServiceDefinition;
type Handlers = ServiceHandlers<typeof definition>;
const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const servers = {
  'grpc-js': (options: GrpcServerOptions) => createGrpcServer(options),
  edge: (options: GrpcServerOptions) => createEdgeServer({ ...time, ...options }),
};

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

describe.each(['grpc-js', 'edge'] as const)('around the calls of a server of %s', (carrier) => {
  async function start(interceptors: readonly Interceptor[], handlers: Handlers) {
    const server = servers[carrier]({ logger: createLogger({ service: 'test', level: 'silent' }), interceptors });
    server.add(definition, handlers);
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    const channel = createEdgeChannel(`127.0.0.1:${String(port)}`, time);
    ends.push(
      () => {
        channel.close();
      },
      () => {
        server.stop();
      },
    );
    return createGrpcClient(definition, channel);
  }

  const letAnnIn = authenticate(({ token }) => (token === 'good' ? { name: 'ann', grants: [] } : undefined));
  const good = { metadata: { authorization: 'Bearer good' } };

  describe('authentication', () => {
    it('lets in who is known, tells the handler who it is, and refuses everybody else', async () => {
      const seen: (string | undefined)[] = [];
      const client = await start([letAnnIn], {
        stats: (_, context) => {
          seen.push(subjectOf(context)?.name);
          return Promise.resolve({ shards: [] });
        },
        async *listObjects(_, context) {
          seen.push(subjectOf(context)?.name);
          yield await Promise.resolve(data.ObjectMetaEnvelope.fromPartial({ objectId: 'x' }));
        },
      });
      await client.stats({}, good);
      for await (const { objectId } of client.listObjects({}, good)) expect(objectId).toBe('x');
      expect(seen).toEqual(['ann', 'ann']);
      for (const authorization of ['Bearer bad', 'Basic good', '']) {
        const call = { metadata: { authorization } };
        await expect(client.stats({}, call)).rejects.toMatchObject({ code: 'Unauthenticated' });
        const stream = client.listObjects({}, call)[Symbol.asyncIterator]();
        await expect(stream.next()).rejects.toMatchObject({ code: 'Unauthenticated' });
      }
      expect(seen).toHaveLength(2);
    });
  });

  describe('audit', () => {
    const { clock } = simulatedTime();
    const actionOf = (method: string) => (method.endsWith('/Get') ? undefined : `data.${method.split('/')[2] ?? ''}`);

    async function audited(sink: AuditSink) {
      return start([audit({ sink, clock, actionOf }), letAnnIn], {
        get: () => Promise.resolve({ obj: undefined }),
        set: (_, { attributes }) => {
          attributes.set(auditResourceKey, 'object/o1');
          return Promise.resolve({});
        },
        delete: () => Promise.reject(oaasError('NotFound', 'no such object')),
      });
    }

    it('records what was done, by whom, to what and with which result, and what was refused', async () => {
      const records: AuditRecord[] = [];
      const client = await audited({ record: (record) => Promise.resolve(void records.push(record)) });
      await withCorrelation('c-1', () => client.set({}, good));
      await client.delete({}, good).catch(() => undefined);
      await client.set({}).catch(() => undefined);
      await client.get({}, good);
      const common = {
        at: clock.now(),
        from: { address: expect.stringContaining('127.0.0.1') as string, via: 'grpc' },
      };
      expect(records).toMatchObject([
        { ...common, subject: 'ann', action: 'data.Set', resource: 'object/o1', result: 'succeeded' },
        { ...common, subject: 'ann', action: 'data.Delete', result: 'failed', reason: 'no such object' },
        { ...common, subject: 'anonymous', action: 'data.Set', result: 'denied' },
      ]);
      expect(records[0]?.correlationId).toBe('c-1');
    });

    it('fails a call that it cannot record', async () => {
      const client = await audited({ record: () => Promise.reject(oaasError('StorageFull', 'no space')) });
      await expect(client.set({}, good)).rejects.toMatchObject({ code: 'StorageFull' });
      expect(await client.get({}, good)).toEqual({ obj: undefined });
    });
  });

  describe('traces', () => {
    const parentKey = createContextKey('parent');
    const propagator: TextMapPropagator = {
      inject: () => undefined,
      fields: () => ['traceparent'],
      extract: (context, carrier, getter) => context.setValue(parentKey, getter.get(carrier, 'traceparent')),
    };

    it('have a span for each call, below the span of its caller, with the result', async () => {
      const spans: { name: string; parent: unknown; attributes: Attributes; isError: boolean; ends: number }[] = [];
      const tracer: Pick<Tracer, 'startSpan'> = {
        startSpan: (name, options, parent?: Context) => {
          const attributes: Attributes = { ...options?.attributes };
          const record = { name, parent: parent?.getValue(parentKey), attributes, isError: false, ends: 0 };
          spans.push(record);
          const span: Partial<Span> = {
            setAttribute: (key, value) => {
              attributes[key] = value;
              return span as Span;
            },
            setAttributes: (more) => {
              Object.assign(attributes, more);
              return span as Span;
            },
            setStatus: ({ code }) => {
              record.isError = code === SpanStatusCode.ERROR;
              return span as Span;
            },
            recordException: () => undefined,
            end: () => {
              record.ends += 1;
            },
          };
          return span as Span;
        },
      };
      const client = await start([traced({ tracer, propagator })], {
        stats: () => Promise.resolve({ shards: [] }),
        get: () => Promise.reject(oaasError('NotFound', 'x')),
        set: () => Promise.reject(new Error('defect')),
      });
      await client.stats({}, { metadata: { traceparent: 'of-the-caller' } });
      await client.get({}).catch(() => undefined);
      await client.set({}).catch(() => undefined);
      const common = { 'rpc.system': 'grpc', 'rpc.service': 'oprc.DataService' };
      expect(spans).toMatchObject([
        {
          name: 'oprc.DataService/Stats',
          parent: 'of-the-caller',
          attributes: { ...common, 'rpc.method': 'Stats', 'rpc.grpc.status_code': 0 },
          isError: false,
        },
        { name: 'oprc.DataService/Get', attributes: { 'rpc.grpc.status_code': 5 }, isError: false },
        { name: 'oprc.DataService/Set', attributes: { 'rpc.grpc.status_code': 13 }, isError: true },
      ]);
      expect(spans.map((span) => span.ends)).toEqual([1, 1, 1]);
    });
  });
});
