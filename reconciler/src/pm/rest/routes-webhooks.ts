import { z } from 'zod';
import { isOaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import {
  deliveryId,
  providerOf,
  RateLimit,
  readEvent,
  RecentIds,
  verifySignature,
  webhookBodyMaxBytes,
} from '../../git/index.ts';
import { refOf } from '../shell/refs.ts';
import type { RestApp, RestContext } from './server.ts';

/** Deliveries of one source: so many at once, then so many a second. Over it: 429. */
const rate = { burst: 60, perSecond: 5 } as const;

interface Gate {
  readonly rate: RateLimit;
  readonly recent: RecentIds;
}

/**
 * `POST /webhooks/:source`: tells a source that its repository has moved. The signature is checked over the raw bytes before
 * anything is read; a source without a secret takes none.
 */
export function webhookRoutes(app: RestApp, { pm, clock, logger }: RestContext): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: webhookBodyMaxBytes }, (_request, body, done) => {
    done(null, body);
  });
  const gates = new Map<string, Gate>();
  const gateOf = (source: string): Gate => {
    const gate = gates.get(source) ?? { rate: new RateLimit(rate), recent: new RecentIds() };
    gates.set(source, gate);
    return gate;
  };

  app.post(
    '/webhooks/:source',
    { schema: { tags: ['webhooks'], params: z.object({ source: z.string() }) }, bodyLimit: webhookBodyMaxBytes },
    async (request, reply) => {
      const name = request.params.source;
      const { headers } = request;
      const provider = providerOf(headers);
      const count = (result: 'accepted' | 'ignored' | 'duplicate' | 'refused' | 'limited') => {
        pm.metrics.webhooks.inc({ provider, result });
      };
      const { input } = pm.sourceState(name);
      try {
        if (input.webhook_secret === undefined) {
          throw oaasError('PermissionDenied', `the source "${name}" has no webhook secret`, {
            remedy: 'Set webhook_secret for the source, and the same on the forge.',
          });
        }
        const gate = gateOf(name);
        if (!gate.rate.take(clock.monotonic())) {
          count('limited');
          throw oaasError('ResourceExhausted', 'too many deliveries for this source', { retryAfterMs: 1000 });
        }
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        verifySignature(headers, body, input.webhook_secret);
        const event = readEvent(headers, body);
        if (event.type === 'ping') {
          count('ignored');
          return await reply.status(200).send({ status: 'pong' });
        }
        const id = deliveryId(headers);
        if (id !== undefined && !gate.recent.add(id)) {
          count('duplicate');
          return await reply.status(200).send({ status: 'duplicate' });
        }
        if (event.type === 'other' || (event.ref !== undefined && event.ref !== fullName(input.ref))) {
          count('ignored');
          return await reply.status(200).send({ status: 'ignored' });
        }
        count('accepted');
        await pm.notified(name);
        return await reply.status(202).send({ status: 'accepted' });
      } catch (thrown) {
        const error = toOaasError(thrown);
        if (!isOaasError(error, 'ResourceExhausted')) count('refused');
        logger.warn({ source: name, provider, code: error.code, remote: request.ip }, 'a webhook delivery is refused');
        throw error;
      }
    },
  );
}

function fullName(ref: Parameters<typeof refOf>[0]): string {
  const { type, name } = refOf(ref);
  return type === 'branch' ? `refs/heads/${name}` : type === 'tag' ? `refs/tags/${name}` : name;
}
