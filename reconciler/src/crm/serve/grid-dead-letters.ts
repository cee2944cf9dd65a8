import { oaasError } from '@oaas/commons/errors';
import { admin, data } from '@oaas/proto';
import { camelCase, type Json, queryOf, withoutEmpty } from './grid-json.ts';

/** Ids that one call selects: they go in the path of the grid's admin API. */
const idsMax = 200;
const base = '/admin/dead-letters';

/** Where the grid lists them. */
export function listPath({ id, limit, cursor, ...filter }: admin.ListDeadLettersRequest): string {
  return base + queryOf(withoutEmpty({ ...filterOf(filter), id, cursor, limit: limit === 0 ? '' : String(limit) }));
}

/** Where the grid replays or purges what is selected. Throws `InvalidArgument` for too many ids. */
export function changePath(what: 'replay' | 'purge', selection: admin.DeadLetterSelection): string {
  const { ids, all, dryRun } = selection;
  if (ids.length > idsMax) {
    throw oaasError('InvalidArgument', `ids: there are ${String(ids.length)}`, {
      remedy: `Name at most ${String(idsMax)} at a time, or select them by collection, function or reason.`,
    });
  }
  const flags = { all: all ? 'true' : '', dry_run: dryRun ? 'true' : '' };
  return `${base}/${what}${queryOf(withoutEmpty({ ...filterOf(selection), ids: ids.join(','), ...flags }))}`;
}

function filterOf(filter: Pick<admin.DeadLetterSelection, 'collection' | 'functionKey' | 'reason'>) {
  return { collection: filter.collection, function: filter.functionKey, reason: filter.reason };
}

/** A list as the grid's admin API answers it. */
export function letterList(answer: Json): admin.ListDeadLettersResponse {
  const { dead_letters: letters = [], ...rest } = answer;
  return {
    ...admin.ListDeadLettersResponse.fromPartial(camelCase(rest) as Json),
    deadLetters: (letters as readonly Json[]).map(letterOf),
  };
}

function letterOf({ payload, ...letter }: Json): admin.DeadLetter {
  return {
    ...admin.DeadLetter.fromPartial(camelCase(letter) as Json),
    payload: Buffer.from(data.TriggerPayload.encode(payloadOf((payload ?? {}) as Json)).finish()),
  };
}

/** The admin API shows what the function would have been told in JSON; keys of `context` are nobody's names. */
function payloadOf({ event_info: shown, original_payload: original }: Json): data.TriggerPayload {
  const { context, event_type: type, ...info } = (shown ?? {}) as Json;
  const eventType = Object.entries(data.EventType).find(
    ([name]) => name === `EVENT_TYPE_${String(type).toUpperCase()}`,
  );
  return data.TriggerPayload.fromPartial({
    eventInfo: {
      ...(camelCase(info) as Json),
      eventType: eventType?.[1] ?? data.EventType.EVENT_TYPE_UNKNOWN,
      context: context ?? {},
    },
    ...(typeof original === 'string' ? { originalPayload: Buffer.from(original, 'base64') } : {}),
  });
}
