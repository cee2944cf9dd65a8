import { oaasError } from '@oaas/commons/errors';
import { Reader, Writer } from './bytes.ts';
import { clearMap, compareValues, type CrdtMap, decodeMap, encodeMap, mergeMaps, stampMap } from './crdt-map.ts';
import { compareStamps, laterStamp, readStamp, type Stamp, stampBytes, writeStamp, zeroStamp } from './stamp.ts';
import type { Register, ValueType } from './types.ts';

/** What a client wants an entry to hold. */
export interface RegisterWrite {
  readonly type: ValueType;
  /** Absent: take the entry away. */
  readonly value: Uint8Array | undefined;
}

/**
 * The entry as it is when both writes are known: commutative, associative and idempotent, so that replicas agree
 * whatever came to them in whatever order.
 *
 * - The write with the later stamp wins. Stamps are equal only where a member's clock was set back behind its storage;
 *   then tombstone before bytes before map, then the higher bytes.
 * - Two maps of our own format (see {@link encodeMap}) become one that holds the later of each key. A write that is no such
 *   map clears what is older than itself out of a later map.
 * - Values of type CRDT_MAP in any other format cannot be merged: they are bytes to us, and the later one wins.
 */
export function mergeRegisters(a: Register, b: Register): Register {
  const mapA = mapOf(a);
  const mapB = mapOf(b);
  if (mapA === undefined && mapB === undefined) return compareRegisters(a, b) < 0 ? b : a;
  const floor = laterStamp(mapA?.cleared ?? a.stamp, mapB?.cleared ?? b.stamp);
  const top = laterStamp(mapA === undefined ? zeroStamp : a.stamp, mapB === undefined ? zeroStamp : b.stamp);
  if (compareStamps(top, floor) <= 0) return mapA === undefined ? a : b;
  const both = mapA === undefined || mapB === undefined ? (mapA ?? mapB) : mergeMaps(mapA, mapB);
  if (both === undefined) return a;
  return { stamp: top, type: 'crdt-map', value: encodeMap(clearMap(both, floor)) };
}

/**
 * The entry after a client's write that was accepted at `stamp`, which must be later than all that the replica has
 * observed. A map in our format is merged into the one that is there; anything else replaces it.
 */
export function writeRegister(held: Register | undefined, write: RegisterWrite, stamp: Stamp): Register {
  if (write.value === undefined) return { stamp, type: 'bytes', value: undefined };
  const written = write.type === 'crdt-map' ? decodeMap(write.value) : undefined;
  if (written === undefined) return { stamp, type: write.type, value: write.value };
  const map = stampMap(written, held === undefined ? undefined : mapOf(held), held?.stamp ?? zeroStamp, stamp);
  const fresh: Register = { stamp, type: 'crdt-map', value: encodeMap(map) };
  return held === undefined ? fresh : mergeRegisters(held, fresh);
}

/** The map that a register holds, when it is one that merges. */
export function mapOf(register: Register): CrdtMap | undefined {
  if (register.type !== 'crdt-map' || register.value === undefined) return undefined;
  const map = decodeMap(register.value);
  if (map === undefined || map.replace || compareStamps(map.cleared, register.stamp) >= 0) return undefined;
  for (const { stamp } of map.elements.values()) {
    if (compareStamps(stamp, map.cleared) <= 0 || compareStamps(stamp, register.stamp) > 0) return undefined;
  }
  return map;
}

/** Total order of registers as last-writer-wins sees them. */
export function compareRegisters(a: Register, b: Register): number {
  return compareStamps(a.stamp, b.stamp) || kindOf(a) - kindOf(b) || compareValues(a.value, b.value);
}

const format = 1;
const headBytes = 2 + stampBytes;

/** Format (u8), kind (u8: 0 tombstone, 1 bytes, 2 map), stamp, value: one encoding for one state, to be stored and hashed. */
export function encodeRegister(register: Register): Uint8Array {
  const out = new Writer(headBytes + (register.value?.length ?? 0));
  out.uint(format, 1);
  out.uint(kindOf(register), 1);
  writeStamp(out, register.stamp);
  if (register.value !== undefined) out.raw(register.value);
  return out.bytes;
}

/** The value is a view of `bytes`. `DataLoss` when they are no register. */
export function decodeRegister(bytes: Uint8Array): Register {
  const from = new Reader(bytes);
  const isKnown = from.uint(1) === format;
  const kind = from.uint(1);
  const stamp = readStamp(from);
  if (from.failed || !isKnown || kind > 2 || (kind === 0 && from.left > 0)) {
    throw oaasError('DataLoss', 'the record of an entry has an unknown form', {
      remedy: 'Rebuild this replica from another one.',
    });
  }
  if (kind === 0) return { stamp, type: 'bytes', value: undefined };
  return { stamp, type: kind === 1 ? 'bytes' : 'crdt-map', value: from.raw(from.left) };
}

function kindOf({ type, value }: Register): 0 | 1 | 2 {
  if (value === undefined) return 0;
  return type === 'bytes' ? 1 : 2;
}
