import { oaasError } from '@oaas/commons/errors';
import type { Mutation, MutationResult, ObjectMeta, ShardLimits, Value } from './model.ts';
import type { ShardTransaction } from './transaction.ts';

/**
 * Decides one mutation against the state of the transaction and writes its outcome there. The only place where
 * versions grow and compare-and-set is checked; a function of state and mutation, so that every replica that applies
 * the same mutations in the same order ends with the same state.
 *
 * Throws `VersionConflict` (with `currentVersion` in the details), `ResourceExhausted` over a limit; the transaction
 * is then as it was before.
 */
export function applyMutation(transaction: ShardTransaction, mutation: Mutation, limits: ShardLimits): MutationResult {
  const meta = transaction.meta(mutation.objectId);
  const current = meta?.version ?? 0;
  if (mutation.expectedVersion !== undefined && mutation.expectedVersion !== current) {
    throw oaasError('VersionConflict', `object ${mutation.objectId} is at version ${String(current)}`, {
      details: { objectId: mutation.objectId, expectedVersion: mutation.expectedVersion, currentVersion: current },
    });
  }
  if (mutation.type === 'delete') {
    if (meta === undefined) return { version: 0, changed: false };
    transaction.delete(mutation.objectId);
    return { version: 0, changed: true };
  }
  return applyChange(transaction, mutation, meta, limits);
}

type Change = Extract<Mutation, { type: 'change' }>;

function applyChange(
  transaction: ShardTransaction,
  mutation: Change,
  meta: ObjectMeta | undefined,
  limits: ShardLimits,
): MutationResult {
  const { objectId: id } = mutation;
  const changes = new Map<string, Value | undefined>();
  let entryCount = meta?.entryCount ?? 0;
  let bytes = meta?.bytes ?? id.length;

  for (const [key, value] of mutation.put) {
    if (value.data.length > limits.maxValueBytes) throw tooLarge(`the value of ${key}`, 'maxValueBytes', limits);
    const old = meta === undefined ? undefined : transaction.value(id, key);
    if (old !== undefined && isSame(old, value)) continue;
    changes.set(key, value);
    entryCount += old === undefined ? 1 : 0;
    bytes += value.data.length - (old?.data.length ?? 0) + (old === undefined ? key.length : 0);
  }
  for (const [key, size] of removals(transaction, mutation, meta)) {
    changes.set(key, undefined);
    entryCount -= 1;
    bytes -= key.length + size;
  }

  const event = mutation.event ?? (mutation.replace ? undefined : meta?.event);
  const creates = meta === undefined && (mutation.replace || changes.size > 0 || mutation.event !== undefined);
  const changed = creates || changes.size > 0 || (meta !== undefined && !isSameBytes(event, meta.event));
  if (!changed) return { version: meta?.version ?? 0, changed: false };
  if (entryCount > limits.maxEntriesPerObject) throw tooLarge(`object ${id}`, 'maxEntriesPerObject', limits);
  if (bytes > limits.maxObjectBytes) throw tooLarge(`object ${id}`, 'maxObjectBytes', limits);

  const version = (meta?.version ?? 0) + 1;
  transaction.change(id, { version, entryCount, bytes, event }, changes);
  return { version, changed: true };
}

/** Entries that are there and go, with the bytes of their values. */
function* removals(
  transaction: ShardTransaction,
  mutation: Change,
  meta: ObjectMeta | undefined,
): Generator<readonly [string, number]> {
  if (meta === undefined || meta.entryCount === 0) return;
  if (mutation.replace) {
    for (const [key, size] of transaction.entrySizes(mutation.objectId)) {
      if (!mutation.put.has(key)) yield [key, size];
    }
    return;
  }
  for (const key of new Set(mutation.remove)) {
    if (mutation.put.has(key)) continue;
    const old = transaction.value(mutation.objectId, key);
    if (old !== undefined) yield [key, old.data.length];
  }
}

function isSame(a: Value, b: Value): boolean {
  return a.type === b.type && Buffer.compare(a.data, b.data) === 0;
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
