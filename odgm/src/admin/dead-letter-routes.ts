import type { admin } from '@oaas/proto';
import { data } from '@oaas/proto';
import { eventName } from '../events/index.ts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { actions, audited } from './actions.ts';
import type { Caller } from './caller.ts';
import type { DeadLetters } from './dead-letters.ts';
import { snakeCase } from './json.ts';
import { flagOf, parametersOf, wholeOf } from './parameters.ts';

interface One {
  readonly Params: { readonly id: string };
}

const filters = ['collection', 'function', 'reason'] as const;

/**
 * `GET /admin/dead-letters`, the oldest first: `?collection=&function=&reason=&id=&limit=&cursor=`. One by its id, and with
 * `POST …/:id/replay` and `…/:id/purge` what is to become of it. `POST /admin/dead-letters/replay` and `…/purge` do that
 * with all that the same filters select, those of `?ids=` (with commas between), or with `?all=true`; `?dry_run=true` only counts them.
 */
export function addDeadLetterRoutes(
  app: FastifyInstance,
  letters: DeadLetters,
  callerOf: (request: FastifyRequest) => Promise<Caller>,
): void {
  const selected = (ids: readonly string[]): admin.DeadLetterSelection => ({
    ...{ deploymentId: '', ids: [...ids], functionKey: '', all: false, collection: '', reason: '', dryRun: false },
  });
  const asked = ({ query }: FastifyRequest): admin.DeadLetterSelection => {
    const { all, dry_run: dryRun, ids = '', ...rest } = parametersOf(query, [...filters, 'ids', 'all', 'dry_run']);
    const { collection = '', function: functionKey = '', reason = '' } = rest;
    return {
      ...selected(ids === '' ? [] : ids.split(',')),
      ...{ collection, functionKey, reason, all: flagOf('all', all), dryRun: flagOf('dry_run', dryRun) },
    };
  };
  const base = '/admin/dead-letters';

  app.get(base, async (request) => {
    const {
      limit = '0',
      cursor = '',
      id = '',
      ...rest
    } = parametersOf(request.query, [...filters, 'id', 'limit', 'cursor']);
    const { collection = '', function: functionKey = '', reason = '' } = rest;
    const page = await letters.list(
      { deploymentId: '', id, limit: wholeOf('limit', limit), cursor, collection, functionKey, reason },
      await callerOf(request),
    );
    const { deadLetters, nextCursor, incomplete } = page;
    return { dead_letters: deadLetters.map(letterJson), next_cursor: nextCursor, incomplete };
  });
  app.get<One>(`${base}/:id`, async (request) => {
    parametersOf(request.query, []);
    return letterJson(await letters.get(request.params.id, await callerOf(request)));
  });
  /** One that is not there is said to be, rather than counted as failed. */
  const one = async (request: FastifyRequest<One>, what: 'replay' | 'purge') => {
    parametersOf(request.query, []);
    const caller = await callerOf(request);
    const { id } = request.params;
    await letters.get(id, caller);
    return snakeCase(await letters[what](selected([id]), caller));
  };
  for (const what of ['replay', 'purge'] as const) {
    const named = audited(what === 'replay' ? actions.replayDeadLetters : actions.purgeDeadLetters);
    app.post(`${base}/${what}`, named, async (request) =>
      snakeCase(await letters[what](asked(request), await callerOf(request))),
    );
    app.post<One>(`${base}/:id/${what}`, named, (request) => one(request, what));
  }
}

function letterJson({ payload, ...letter }: admin.DeadLetter) {
  const { eventInfo, originalPayload } = data.TriggerPayload.decode(payload);
  const { eventType = data.EventType.EVENT_TYPE_UNKNOWN, context = {}, ...info } = eventInfo ?? {};
  return {
    ...snakeCase(letter),
    payload: {
      event_info: { ...snakeCase(info), event_type: eventName(eventType), context },
      original_payload: originalPayload?.toString('base64') ?? null,
    },
  };
}
