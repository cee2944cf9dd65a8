import { oaasError, toOaasError } from '@oaas/commons/errors';
import type { CallOptions, Client } from '@oaas/commons/grpc';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import { admin, data } from '@oaas/proto';
import { eventName, payloadOf, targetOf } from '../events/index.ts';
import { metaShard } from '../meta/index.ts';
import type { GridNode, Member } from '../node/index.ts';
import {
  type DeadLetter,
  type DeathReason,
  deathReasons,
  eventId,
  EventualShard,
  type LetterRef,
  type ShardHandle,
} from '../shard/index.ts';
import type { Caller } from './caller.ts';
import { metaOf } from './meta-of.ts';

type Calls = Pick<
  Client<typeof admin.GridAdminDefinition>,
  'listDeadLetters' | 'replayDeadLetters' | 'purgeDeadLetters'
>;

export interface DeadLettersOptions {
  readonly node: GridNode;
  readonly clientOf: (member: Member) => Calls;
  readonly clock: Clock;
}

const pageDefault = 50;
const pageMax = 200;
/** Dead letters that one entry of a log takes along. */
const atOnce = 512;
const incompleteMax = 20;

/** Where a dead letter is: the order of lists, and what its id says. */
interface Place extends LetterRef {
  readonly shard: number;
  /** Member whose replica has it, where replicas merge; else 0. */
  readonly by: number;
}

interface Found {
  readonly place: Place;
  readonly handle: ShardHandle;
  readonly letter: DeadLetter;
}

type Filter = Pick<admin.DeadLetterSelection, 'collection' | 'functionKey' | 'reason'>;

/**
 * Triggers that could not be delivered, of the whole grid: each node knows those of the shards whose events it delivers,
 * and asks the others for theirs. Who could not be asked is named in the answer.
 */
export class DeadLetters {
  readonly #options: DeadLettersOptions;

  constructor(options: DeadLettersOptions) {
    this.#options = options;
  }

  /** In the order in which they became dead letters, the oldest first. Rejects with `InvalidArgument`. */
  async list(request: admin.ListDeadLettersRequest, caller: Caller): Promise<admin.ListDeadLettersResponse> {
    const { limit, cursor, id } = request;
    if (limit > pageMax) {
      throw oaasError('InvalidArgument', `limit is ${String(limit)}`, { remedy: `Use at most ${String(pageMax)}.` });
    }
    checkFilter(request);
    const behind = cursor === '' ? undefined : placeOf('cursor', cursor);
    const only = id === '' ? undefined : placeOf('id', id);
    const size = limit === 0 ? pageDefault : limit;
    const own = this.#page(request, behind, only, size + 1);
    const { answers, incomplete } = await this.#others(caller, (calls, options) =>
      calls.listDeadLetters(request, options),
    );
    const all = [...own, ...answers.flatMap(({ deadLetters }) => deadLetters)]
      .map((letter) => ({ letter, place: placeOf('id', letter.id) }))
      .sort((a, b) => compare(a.place, b.place));
    const hasMore = all.length > size || answers.some(({ nextCursor }) => nextCursor !== '');
    const shown = all.slice(0, size);
    const last = shown.at(-1);
    return {
      deadLetters: shown.map(({ letter }) => letter),
      nextCursor: hasMore && last !== undefined ? last.letter.id : '',
      incomplete: [...incomplete, ...answers.flatMap((answer) => answer.incomplete)].slice(0, incompleteMax),
    };
  }

  /** Rejects with `NotFound`, and `Unavailable` while somebody that may have it cannot be asked. */
  async get(id: string, caller: Caller): Promise<admin.DeadLetter> {
    const request = admin.ListDeadLettersRequest.fromPartial({ id });
    const { deadLetters, incomplete } = await this.list(request, caller);
    const [found] = deadLetters;
    if (found !== undefined) return found;
    if (incomplete.length > 0) {
      throw oaasError('Unavailable', `dead letter ${id} is not to be found now: ${incomplete.join(', ')}`, {
        retryAfterMs: 1000,
      });
    }
    throw oaasError('NotFound', `there is no dead letter ${id}`, {
      remedy: 'It may have been replayed or purged, or had to go for newer ones.',
    });
  }

  /** Has the selected ones delivered again, behind the events that wait. Rejects with `InvalidArgument`. */
  replay(selection: admin.DeadLetterSelection, caller: Caller): Promise<admin.DeadLetterResult> {
    return this.#change('replay', selection, caller);
  }

  /** Takes the selected ones away for good. Rejects with `InvalidArgument`. */
  purge(selection: admin.DeadLetterSelection, caller: Caller): Promise<admin.DeadLetterResult> {
    return this.#change('purge', selection, caller);
  }

  async #change(
    what: 'replay' | 'purge',
    selection: admin.DeadLetterSelection,
    caller: Caller,
  ): Promise<admin.DeadLetterResult> {
    const { ids, dryRun } = selection;
    checkSelection(selection);
    const own = await this.#changeOwn(what, selection);
    const { answers, incomplete } = await this.#others(caller, (calls, options) =>
      what === 'replay' ? calls.replayDeadLetters(selection, options) : calls.purgeDeadLetters(selection, options),
    );
    const affected = answers.reduce((sum, answer) => sum + answer.affected, own.affected);
    const failed = answers.reduce((sum, answer) => sum + answer.failed, own.failed);
    return {
      affected,
      // Each node says only of its own what it could not do; of ids, nobody else knows those that nobody has.
      failed: ids.length > 0 && !caller.isPassedOn && !dryRun ? Math.max(failed, new Set(ids).size - affected) : failed,
      incomplete: [...own.incomplete, ...incomplete, ...answers.flatMap((answer) => answer.incomplete)].slice(
        0,
        incompleteMax,
      ),
    };
  }

  /** A shard that refuses some is not asked for the others of this call: `incomplete` says why. */
  async #changeOwn(what: 'replay' | 'purge', selection: admin.DeadLetterSelection): Promise<admin.DeadLetterResult> {
    const named = new Set(selection.ids);
    // Whatever is replayed may be a dead letter again before this ends.
    const byShard = new Map<ShardHandle, LetterRef[]>();
    for (const { place, handle, letter } of this.#own(selection)) {
      if (named.size > 0 && !named.has(idOf(place))) continue;
      byShard.set(handle, [...(byShard.get(handle) ?? []), letter.ref]);
    }
    let [affected, failed] = [0, 0];
    const incomplete: string[] = [];
    for (const [handle, refs] of byShard) {
      for (let from = 0; from < refs.length; from += atOnce) {
        const some = refs.slice(from, from + atOnce);
        if (selection.dryRun) {
          affected += some.length;
          continue;
        }
        try {
          const at = Math.max(0, Math.floor(this.#options.clock.now()));
          const { replayed, purged } = await handle.outbox.change({ type: 'outbox', at, [what]: some });
          affected += replayed + purged;
        } catch (error) {
          failed += refs.length - from;
          incomplete.push(`${handle.collection}/${String(handle.partition)}: ${toOaasError(error).message}`);
          break;
        }
      }
    }
    return { affected, failed, incomplete };
  }

  #page(filter: Filter, behind: Place | undefined, only: Place | undefined, size: number): admin.DeadLetter[] {
    const found: Found[] = [];
    for (const handle of this.#handles()) {
      let count = 0;
      for (const one of this.#lettersOf(handle, filter, behind)) {
        if (only !== undefined && compare(one.place, only) !== 0) continue;
        found.push(one);
        count += 1;
        if (count === size) break;
      }
    }
    found.sort((a, b) => compare(a.place, b.place));
    return found.slice(0, size).map((one) => this.#shown(one));
  }

  *#own(filter: Filter): Generator<Found> {
    for (const handle of this.#handles()) yield* this.#lettersOf(handle, filter, undefined);
  }

  /** Shards of which this node has the word. */
  #handles(): ShardHandle[] {
    return this.#options.node
      .collections()
      .flatMap((collection) => collection.handles())
      .filter(({ outbox }) => outbox.isActive && outbox.counts.letters > 0);
  }

  *#lettersOf(handle: ShardHandle, filter: Filter, behind: Place | undefined): Generator<Found> {
    const { collection, functionKey, reason } = filter;
    if (collection !== '' && handle.collection !== collection) return;
    const by = handle instanceof EventualShard ? this.#options.node.number : 0;
    // Of the same time others may come first: those behind are told one by one.
    const from = behind === undefined ? undefined : { diedAt: behind.diedAt, major: 0, minor: 0 };
    for (const letter of handle.outbox.letters(from)) {
      const place = { shard: handle.id, by, ...letter.ref };
      if (behind !== undefined && compare(place, behind) <= 0) continue;
      if (reason !== '' && letter.death.reason !== reason) continue;
      const { clsId, fnId } = targetOf(letter.event);
      if (functionKey !== '' && functionKey !== fnId && functionKey !== `${clsId}.${fnId}`) continue;
      yield { place, handle, letter };
    }
  }

  #shown({ place, handle, letter: { death, event, ref } }: Found): admin.DeadLetter {
    const { clsId, fnId, objectId, legacyObjectId } = targetOf(event);
    return {
      ...{ id: idOf(place), eventId: eventId(handle.id, event.origin), eventType: eventName(event.type) },
      ...{ collection: handle.collection, partition: handle.partition, objectId: event.objectId, key: event.key },
      ...{ functionKey: `${clsId}.${fnId}`, targetObjectId: objectId ?? legacyObjectId ?? '', depth: event.depth },
      ...{ reason: death.reason, attempts: death.attempts, error: death.error },
      ...{ createdAt: toRfc3339(event.at), diedAt: toRfc3339(ref.diedAt), node: this.#options.node.self.id },
      payload: Buffer.from(data.TriggerPayload.encode(payloadOf(handle, event)).finish()),
    };
  }

  /** What the other members say, and whose word is missing. */
  async #others<T>(
    caller: Caller,
    ask: (calls: Calls, options: CallOptions) => Promise<T>,
  ): Promise<{ readonly answers: readonly T[]; readonly incomplete: readonly string[] }> {
    if (caller.isPassedOn) return { answers: [], incomplete: [] };
    const { node, clientOf } = this.#options;
    await node.reports.refresh();
    const incomplete: string[] = [];
    const asked = node.members().map(async ({ record, state }) => {
      if (record.number === node.number) return [];
      try {
        if (state === 'down') throw oaasError('Unavailable', 'it is down');
        return [await ask(clientOf({ id: record.id, address: record.address }), caller.onward())];
      } catch (error) {
        const { code, message } = toOaasError(error);
        // What the caller did wrong, or may not do, is wrong everywhere.
        if (code === 'InvalidArgument' || code === 'PermissionDenied' || code === 'Unauthenticated') throw error;
        incomplete.push(`${record.id}: ${message}`);
        return [];
      }
    });
    const answers = (await Promise.all(asked)).flat();
    for (const shard of metaOf(node).state.shards.values()) {
      if (shard.id === metaShard || shard.merges || node.leaderOf(shard.id) !== 0) continue;
      if (incomplete.length < incompleteMax)
        incomplete.push(`${shard.collection}/${String(shard.partition)} has no leader`);
    }
    return { answers, incomplete };
  }
}

function checkFilter({ reason }: Filter): void {
  if (reason === '' || deathReasons.includes(reason as DeathReason)) return;
  throw oaasError('InvalidArgument', `reason is "${reason}"`, { remedy: `Use one of ${deathReasons.join(', ')}.` });
}

function checkSelection(selection: admin.DeadLetterSelection): void {
  const { ids, all, collection, functionKey, reason } = selection;
  checkFilter(selection);
  for (const id of ids) placeOf('ids', id);
  if (ids.length > 0 || all || collection !== '' || functionKey !== '' || reason !== '') return;
  throw oaasError('InvalidArgument', 'nothing is selected', {
    remedy: 'Name ids, a collection, a function or a reason, or say that all are meant.',
  });
}

function idOf({ diedAt, shard, major, minor, by }: Place): string {
  return [diedAt, shard, major, minor, by].join('-');
}

function placeOf(field: string, id: string): Place {
  const [diedAt = 0, shard = 0, major = 0, minor = 0, by = 0] = id.split('-').map(Number);
  if (/^\d{1,15}(-\d{1,15}){4}$/.test(id)) return { diedAt, shard, major, minor, by };
  throw oaasError('InvalidArgument', `${field}: "${id.slice(0, 100)}" is no id of a dead letter`, {
    remedy: 'Use one that a list of dead letters gave.',
    details: { field },
  });
}

function compare(a: Place, b: Place): number {
  return a.diedAt - b.diedAt || a.shard - b.shard || a.by - b.by || a.major - b.major || a.minor - b.minor;
}
