import { oaasError } from '@oaas/commons/errors';
import { data } from '@oaas/proto';
import type { ExpiringEntry, Firing, Mutation, MutationResult, ObjectMeta, ShardLimits, Value } from './model.ts';
import { wholeTime } from './mutation-codec.ts';
import type { NewEvent } from './outbox-transaction.ts';
import type { EntryChange, ShardTransaction } from './transaction.ts';
import { firedByData } from './triggers.ts';

type Change = Extract<Mutation, { type: 'change' }>;

/**
 * Decides one mutation against the state of the transaction and writes its outcome there. The only place where
 * versions grow and compare-and-set is checked; a function of state and mutation, so that every replica that applies
 * the same mutations in the same order ends with the same state. It reads no clock: an entry whose time has come
 * counts as there until a mutation takes it away.
 *
 * `firesAt`: where the triggers that the change sets off have their place in the outbox, which is the index of its log
 * entry; 0: it sets off none.
 *
 * Throws `VersionConflict` (with `currentVersion` in the details), `ResourceExhausted` over a limit; the transaction
 * is then as it was before.
 */
export function applyMutation(
  transaction: ShardTransaction,
  mutation: Mutation,
  limits: ShardLimits,
  firesAt = 0,
): MutationResult {
  if (mutation.type === 'expire') return applyExpiry(transaction, mutation.entries, firesAt);
  const meta = transaction.meta(mutation.objectId);
  const current = meta?.version ?? 0;
  if (mutation.expectedVersion !== undefined && mutation.expectedVersion !== current) {
    throw oaasError('VersionConflict', `object ${mutation.objectId} is at version ${String(current)}`, {
      details: { objectId: mutation.objectId, expectedVersion: mutation.expectedVersion, currentVersion: current },
    });
  }
  if (mutation.type === 'delete') {
    if (meta === undefined) return { version: 0, changed: false };
    if (firesAt !== 0 && meta.event !== undefined) {
      const gone = goneOf(transaction, mutation.objectId);
      fire(transaction, eventsOf(mutation, meta.event, gone, [meta.version, 0]), firesAt);
    }
    transaction.delete(mutation.objectId);
    return { version: 0, changed: true };
  }
  return applyChange(transaction, mutation, meta, limits, firesAt);
}

/** Throws `ResourceExhausted` for a mutation that is over a limit whatever the state is. */
export function checkMutation(mutation: Mutation, limits: ShardLimits): void {
  if (mutation.type !== 'change') return;
  let bytes = mutation.objectId.length;
  for (const [key, { data }] of mutation.put) {
    if (data.length > limits.maxValueBytes) throw tooLarge(`the value of ${key}`, 'maxValueBytes', limits);
    bytes += key.length + data.length;
  }
  if (mutation.put.size > limits.maxEntriesPerObject) {
    throw tooLarge(`object ${mutation.objectId}`, 'maxEntriesPerObject', limits);
  }
  if (bytes > limits.maxObjectBytes) throw tooLarge(`object ${mutation.objectId}`, 'maxObjectBytes', limits);
}

function applyChange(
  transaction: ShardTransaction,
  mutation: Change,
  meta: ObjectMeta | undefined,
  limits: ShardLimits,
  firesAt: number,
): MutationResult {
  const planned = planChange(transaction, mutation, meta, limits);
  if (planned === undefined) return { version: meta?.version ?? 0, changed: false };
  const { changes, ...rest } = planned;
  const version = (meta?.version ?? 0) + 1;
  // Whoever takes the triggers away with a change has them told of it.
  const event = planned.event ?? meta?.event;
  if (firesAt !== 0 && event !== undefined) {
    fire(transaction, eventsOf(mutation, event, changes, [version - 1, version]), firesAt);
  }
  transaction.change(mutation.objectId, { version, ...rest }, changes, mutation.replace ? mutation.put : undefined);
  return { version, changed: true };
}

/** Entries of objects as they are before a change. */
export interface EntriesView {
  value(id: string, key: string): Value | undefined;
  entries(id: string): Iterable<readonly [key: string, value: Value]>;
}

/** What a change does to an object, besides its version. */
export interface PlannedChange {
  readonly changes: readonly EntryChange[];
  readonly entryCount: number;
  readonly bytes: number;
  readonly event: Uint8Array | undefined;
}

/** Undefined when everything is as it should be. Throws `ResourceExhausted` over a limit. Writes nothing. */
export function planChange(
  view: EntriesView,
  mutation: Change,
  meta: Omit<ObjectMeta, 'version'> | undefined,
  limits: ShardLimits,
): PlannedChange | undefined {
  const { objectId: id } = mutation;
  const changes: EntryChange[] = [];
  let entryCount = meta?.entryCount ?? 0;
  let bytes = meta?.bytes ?? id.length;
  let kept = 0;
  for (const [key, value] of mutation.put) {
    if (value.data.length > limits.maxValueBytes) throw tooLarge(`the value of ${key}`, 'maxValueBytes', limits);
    const old = meta === undefined ? undefined : view.value(id, key);
    if (old === undefined) {
      entryCount += 1;
      bytes += key.length + value.data.length;
    } else {
      kept += 1;
      if (isSame(old, value)) continue;
      bytes += value.data.length - old.data.length;
    }
    changes.push({ key, value, old });
  }
  // A replacement has nothing to take away when it names all entries that were there.
  if (meta !== undefined && (mutation.replace ? kept < meta.entryCount : mutation.remove.length > 0)) {
    for (const removal of removals(view, mutation)) {
      changes.push(removal);
      entryCount -= 1;
      bytes -= removal.key.length + removal.old.data.length;
    }
  }
  const event = mutation.event ?? (mutation.replace ? undefined : meta?.event);
  const creates = meta === undefined && (mutation.replace || changes.length > 0 || mutation.event !== undefined);
  const changed = creates || changes.length > 0 || (meta !== undefined && !isSameBytes(event, meta.event));
  if (!changed) return undefined;
  if (entryCount > limits.maxEntriesPerObject) throw tooLarge(`object ${id}`, 'maxEntriesPerObject', limits);
  if (bytes > limits.maxObjectBytes) throw tooLarge(`object ${id}`, 'maxObjectBytes', limits);
  return { changes, entryCount, bytes, event };
}

interface Removal extends EntryChange {
  readonly old: Value;
}

/** Entries that are there and go. */
function removals(view: EntriesView, mutation: Change): Removal[] {
  const found: Removal[] = [];
  if (mutation.replace) {
    for (const [key, old] of view.entries(mutation.objectId)) {
      if (!mutation.put.has(key)) found.push({ key, value: undefined, old });
    }
    return found;
  }
  for (const key of new Set(mutation.remove)) {
    if (mutation.put.has(key)) continue;
    const old = view.value(mutation.objectId, key);
    if (old !== undefined) found.push({ key, value: undefined, old });
  }
  return found;
}

/** The events that changes of an object's entries set off, in their order. */
export function eventsOf(
  { objectId, at = 0, depth = 0 }: Firing & { readonly objectId: string },
  triggers: Uint8Array,
  changes: readonly Pick<EntryChange, 'key' | 'value' | 'old'>[],
  versions: readonly [before: number, after: number],
): NewEvent[] {
  return firedByData(triggers, changes).map(({ type, key, target }) => ({
    ...{ type, objectId, key, versions, at: wholeTime(at), depth: depth + 1 },
    target: data.TriggerTarget.encode(target).finish(),
  }));
}

/** Puts events into the outbox, with the change that they are of or not at all. */
function fire(transaction: ShardTransaction, events: readonly NewEvent[], firesAt: number): void {
  for (const event of events) transaction.outbox.append({ major: firesAt, first: 0, by: 0 }, event);
}

/** All entries of an object, as they are when the object goes. */
export function goneOf(transaction: ShardTransaction, objectId: string): EntryChange[] {
  return Array.from(transaction.entries(objectId), ([key, old]) => ({ key, value: undefined, old }));
}

/** Each object that loses entries gets one version more. */
function applyExpiry(
  transaction: ShardTransaction,
  entries: readonly ExpiringEntry[],
  firesAt: number,
): MutationResult {
  const byObject = new Map<string, Map<string, number>>();
  for (const { objectId, key, expiresAt } of entries) {
    const keys = byObject.get(objectId);
    if (keys === undefined) byObject.set(objectId, new Map([[key, expiresAt]]));
    else keys.set(key, expiresAt);
  }
  let changed = false;
  for (const [id, keys] of byObject) {
    const meta = transaction.meta(id);
    if (meta === undefined) continue;
    const changes: EntryChange[] = [];
    let { bytes } = meta;
    for (const [key, expiresAt] of keys) {
      const old = transaction.value(id, key);
      if (old?.expiresAt !== expiresAt) continue;
      changes.push({ key, value: undefined, old });
      bytes -= key.length + old.data.length;
    }
    if (changes.length === 0) continue;
    changed = true;
    const entryCount = meta.entryCount - changes.length;
    const { event, version } = meta;
    if (firesAt !== 0 && event !== undefined) {
      for (const change of changes) {
        const at = change.old?.expiresAt;
        fire(transaction, eventsOf({ objectId: id, at }, event, [change], [version, version + 1]), firesAt);
      }
    }
    transaction.change(id, { version: meta.version + 1, entryCount, bytes, event: meta.event }, changes, undefined);
  }
  return { version: 0, changed };
}

export function isSame(a: Value, b: Value): boolean {
  return a.type === b.type && a.expiresAt === b.expiresAt && Buffer.compare(a.data, b.data) === 0;
}

function isSameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

function tooLarge(what: string, limit: keyof ShardLimits, limits: ShardLimits): Error {
  return oaasError('ResourceExhausted', `${what} would go over ${limit} = ${String(limits[limit])}`, {
    remedy: `Write less, or raise the option ${limit} of the collection.`,
    details: { limit, value: limits[limit] },
  });
}
