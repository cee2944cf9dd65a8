import { oaasError } from '@oaas/commons/errors';
import { Reader, Writer } from './bytes.ts';
import { compareValues, encodeMap } from './crdt-map.ts';
import { mapOf } from './register.ts';
import { compareStamps, laterStamp, readStamp, type Stamp, stampBytes, writeStamp, zeroStamp } from './stamp.ts';
import type { ObjectHeader, Register } from './types.ts';
import {
  emptyVector,
  incrementVector,
  mergeVectors,
  readVector,
  vectorBytes,
  vectorTotal,
  writeVector,
} from './vector.ts';

/** Of an object that was never written. */
export const emptyHeader: ObjectHeader = {
  cleared: zeroStamp,
  deleted: zeroStamp,
  written: zeroStamp,
  vector: emptyVector,
  event: undefined,
};

export interface HeaderChange {
  /** Stamp of the batch, later than all that the replica has observed. */
  readonly stamp: Stamp;
  /** The member that accepts it. */
  readonly member: number;
  /** True for Set: what the object held before goes. Entries of the same batch have the same stamp and stay. */
  readonly replace: boolean;
  /** Absent: left as it is, or cleared when `replace` is set. */
  readonly event?: Uint8Array | undefined;
}

/** True when the object exists: it was written after its last delete. */
export function isAlive(header: ObjectHeader | undefined): boolean {
  return header !== undefined && compareStamps(header.written, header.deleted) > 0;
}

/**
 * The object's version; 0 when it does not exist. It counts the batches that were accepted for the object anywhere and
 * are known here, deletes too: an accepted batch adds exactly 1 at the replica that accepts it; it never goes back on any
 * replica; replicas that know the same batches have the same version. Once the tombstone of a deleted object is reaped
 * it begins at 1 again.
 *
 * It is no token of causality: two replicas that accepted different batches at once may both say 6 about different
 * content (and 7 after they met). Compare-and-set by version therefore holds against the replica that decides it; whoever
 * must know that nothing at all came between compares the vector (`compareVectors`).
 */
export function versionOf(header: ObjectHeader | undefined): number {
  return header !== undefined && isAlive(header) ? vectorTotal(header.vector) : 0;
}

/**
 * What is left of an entry, tombstones too, under the object's header: nothing when a delete or a Set took it away, and of
 * a map what came later. To be applied wherever an entry or a header was merged or written; otherwise replicas that learn
 * of the two in different orders differ.
 */
export function survivorOf(header: ObjectHeader | undefined, register: Register): Register | undefined {
  if (header === undefined) return register;
  if (!survives(header, register.stamp)) return undefined;
  const map = mapOf(register);
  if (map === undefined) return register;
  const left = [...map.elements].filter(([, { stamp }]) => survives(header, stamp));
  if (left.length === map.elements.size) return register;
  return { ...register, value: encodeMap({ ...map, elements: new Map(left) }) };
}

/** True for what was stamped after the last delete, and not before the last Set. */
function survives(header: ObjectHeader, stamp: Stamp): boolean {
  return compareStamps(stamp, header.cleared) >= 0 && compareStamps(stamp, header.deleted) > 0;
}

/** After an accepted batch. */
export function changeHeader(header: ObjectHeader | undefined, change: HeaderChange): ObjectHeader {
  const { cleared, deleted, vector, event } = header ?? emptyHeader;
  return {
    cleared: change.replace ? change.stamp : cleared,
    deleted,
    written: change.stamp,
    vector: incrementVector(vector, change.member),
    event:
      change.event === undefined ? (change.replace ? undefined : event) : { stamp: change.stamp, value: change.event },
  };
}

/** After an accepted delete. */
export function deleteHeader(header: ObjectHeader, stamp: Stamp, member: number): ObjectHeader {
  const vector = incrementVector(header.vector, member);
  return { cleared: stamp, deleted: stamp, written: header.written, vector, event: undefined };
}

/** The header when both are known: commutative, associative, idempotent. */
export function mergeHeaders(a: ObjectHeader, b: ObjectHeader): ObjectHeader {
  const merged = {
    cleared: laterStamp(a.cleared, b.cleared),
    deleted: laterStamp(a.deleted, b.deleted),
    written: laterStamp(a.written, b.written),
    vector: mergeVectors(a.vector, b.vector),
    event: laterEvent(a.event, b.event),
  };
  return merged.event === undefined || survives(merged, merged.event.stamp) ? merged : { ...merged, event: undefined };
}

/** The last batch that the header knows of. */
export function headerStamp(header: ObjectHeader): Stamp {
  return laterStamp(header.written, header.cleared);
}

const format = 1;

/** Format (u8), cleared, deleted, written, vector, then 1 (u8), stamp, length (u32) and bytes of the event, or 0. */
export function encodeHeader(header: ObjectHeader): Uint8Array {
  const { event } = header;
  const eventBytes = event === undefined ? 0 : stampBytes + 4 + event.value.length;
  const out = new Writer(2 + 3 * stampBytes + vectorBytes(header.vector) + eventBytes);
  out.uint(format, 1);
  writeStamp(out, header.cleared);
  writeStamp(out, header.deleted);
  writeStamp(out, header.written);
  writeVector(out, header.vector);
  out.uint(event === undefined ? 0 : 1, 1);
  if (event === undefined) return out.bytes;
  writeStamp(out, event.stamp);
  out.uint(event.value.length, 4);
  out.raw(event.value);
  return out.bytes;
}

/** The event is a view of `bytes`. `DataLoss` when they are no header. */
export function decodeHeader(bytes: Uint8Array): ObjectHeader {
  const from = new Reader(bytes);
  const isKnown = from.uint(1) === format;
  const cleared = readStamp(from);
  const deleted = readStamp(from);
  const written = readStamp(from);
  const vector = readVector(from);
  const hasEvent = from.uint(1);
  const event = hasEvent === 1 ? { stamp: readStamp(from), value: from.raw(from.uint(4)) } : undefined;
  if (!isKnown || hasEvent > 1 || !from.isComplete) {
    throw oaasError('DataLoss', 'the record of an object has an unknown form', {
      remedy: 'Rebuild this replica from another one.',
    });
  }
  return { cleared, deleted, written, vector, event };
}

function laterEvent(a: ObjectHeader['event'], b: ObjectHeader['event']): ObjectHeader['event'] {
  if (a === undefined || b === undefined) return a ?? b;
  return (compareStamps(a.stamp, b.stamp) || compareValues(a.value, b.value)) < 0 ? b : a;
}
