import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { auditRecordSchema, overviewSchema, whoamiSchema } from '@oaas/commons/client/pm';
import { oaasError } from '@oaas/commons/errors';
import { editorSchemas } from '../model/schema.ts';
import type { NumberedEvent } from '../shell/events.ts';
import { overview } from '../views/views.ts';
import { roleOf } from '../access.ts';
import { listQuerySchema, page, sendPage } from './lists.ts';
import type { RestApp, RestContext } from './server.ts';

/** Streams of events at once; a further one is answered 429. */
const streamsMax = 500;
/** Bytes that a slow reader may fall behind. Over it its stream is ended, and it comes back with Last-Event-ID. */
const backlogMaxBytes = 1024 * 1024;
const heartbeatMs = 15_000;

export function generalRoutes(app: RestApp, { pm, records, timers }: RestContext): void {
  const read = (kind: string) => ({ access: { action: 'read', kind } }) as const;

  app.get('/whoami', { config: read('overview'), schema: { response: { 200: whoamiSchema } } }, ({ subject }) => ({
    subject: subject?.name ?? '',
    role: subject === undefined ? ('viewer' as const) : roleOf(subject),
  }));
  app.get('/overview', { config: read('overview'), schema: { response: { 200: overviewSchema } } }, () =>
    overview(pm, records),
  );
  app.get(
    '/audit',
    { config: read('audit'), schema: { querystring: listQuerySchema, response: { 200: z.array(auditRecordSchema) } } },
    (request, reply) => {
      const result = page(pm.audit.recent(), request.query, {
        id: (row) => row.id,
        text: (row) => `${row.actor} ${row.action} ${row.resource}`,
        sort: '-at',
        fields: {
          at: (row) => row.at,
          actor: (row) => row.actor,
          role: (row) => row.role,
          action: (row) => row.action,
          resource: (row) => row.resource,
          result: (row) => row.result,
        },
      });
      return sendPage(request, reply, result);
    },
  );
  app.get(
    '/schemas/:kind',
    { config: read('overview'), schema: { params: z.object({ kind: z.string() }) } },
    (request) => {
      const schemas: Readonly<Record<string, unknown>> = editorSchemas();
      const found = schemas[request.params.kind.replace(/\.json$/, '')];
      if (found === undefined)
        throw oaasError('NotFound', 'there is no such schema', {
          remedy: `Known: ${Object.keys(schemas).join(', ')}.`,
        });
      return found;
    },
  );

  const streams = new Set<ServerResponse>();
  app.addHook('onClose', () => {
    for (const stream of streams) stream.end();
  });
  app.get(
    '/events',
    { config: read('overview'), schema: { tags: ['events'], description: 'Server-sent events' } },
    (request, reply) => {
      if (streams.size >= streamsMax)
        throw oaasError('ResourceExhausted', 'too many streams of events are open', { retryAfterMs: 5000 });
      const last = request.headers['last-event-id'];
      reply.hijack();
      const response = reply.raw;
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        connection: 'keep-alive',
        'x-accel-buffering': 'no',
      });
      streams.add(response);
      const send = ({ id, event }: NumberedEvent) => {
        response.write(`id: ${id}\nevent: ${event.topic}\ndata: ${JSON.stringify(event)}\n\n`);
        if (response.writableLength > backlogMaxBytes) response.destroy();
      };
      response.write('retry: 1000\n\n');
      const missed = typeof last === 'string' ? pm.events.since(last) : [];
      for (const each of missed ?? [pm.events.reset()]) send(each);
      const unsubscribe = pm.events.subscribe(send);
      const heartbeat = timers.every(heartbeatMs, () => response.write(': still here\n\n'));
      response.on('close', () => {
        unsubscribe();
        heartbeat.cancel();
        streams.delete(response);
      });
    },
  );
}
