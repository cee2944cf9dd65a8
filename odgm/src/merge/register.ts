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
  /** Wall-clock milliseconds, 0 to 2^48 - 1, from which on nobody sees the entry. Default: never. */
  readonly expiresAt?: number | undefined;
}

/**
 * The entry as it is when both writes are known: commutative, associative and idempotent, so that replicas agree
 * whatever came to them in whatever order.
 *
 * - The write with the later stamp wins. Equal stamps are of one write, which may have expired on one side (a tombstone
 *   wins), or of a member whose clock was set back behind its storage (then map before bytes, later expiry, higher bytes).
 * - Two maps of our own format (see {@link encodeMap}) become one that holds the later of each key and expires with the
 *   later write. A write that is no such map clears what is older than itself out of a later map.
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
  const value = encodeMap(clearMap(both, floor));
  return { stamp: top, type: 'crdt-map', value, expiresAt: expiryOf(mapA && a, mapB && b) };
}

/** That of the later of two maps; one that never expires is the latest. */
function expiryOf(a: Register | undefined, b: Register | undefined): number | undefined {
  if (a === undefined || b === undefined) return (a ?? b)?.expiresAt;
  return (compareStamps(a.stamp, b.stamp) || compareExpiry(a, b)) < 0 ? b.expiresAt : a.expiresAt;
}

function compareExpiry(a: Register, b: Register): number {
  if (a.expiresAt === b.expiresAt) return 0;
  return (a.expiresAt ?? Infinity) < (b.expiresAt ?? Infinity) ? -1 : 1;
}

/** True when nobody sees the entry any more, `nowMs` being the wall clock. */
export function isExpired(register: Register, nowMs: number): boolean {
  return register.value !== undefined && register.expiresAt !== undefined && register.expiresAt <= nowMs;
}

/**
 * The tombstone of an entry that has expired. Each replica makes it by itself when its clock says so, and all make the
 * same one: it has the stamp of the write, wins over it, and is reaped as others are. It is no batch: the version stays.
 */
export function expiredOf(register: Register): Register {
  return tombstoneOf(register.stamp);
}

/**
 * The entry as it counts at a time: one that has expired is its tombstone, whether or not it was taken away yet. Only adds
 * to what is known of an entry: merged with the entry as it was, it is the same.
 */
export function asOf<T extends Register | undefined>(register: T, nowMs: number): T | Register {
  return register !== undefined && isExpired(register, nowMs) ? expiredOf(register) : register;
}

export function tombstoneOf(stamp: Stamp): Register {
  return { stamp, type: 'bytes', value: undefined, expiresAt: undefined };
}

/**
 * The entry after a client's write that was accepted at `stamp`, which must be later than all that the replica has
 * observed. A map in our format is merged into the one that is there; anything else replaces it. `held`: {@link asOf} the
 * time of the write.
 */
export function writeRegister(held: Register | undefined, write: RegisterWrite, stamp: Stamp): Register {
  if (write.value === undefined) return tombstoneOf(stamp);
  const written = write.type === 'crdt-map' ? decodeMap(write.value) : undefined;
  if (written === undefined) return { stamp, type: write.type, value: write.value, expiresAt: write.expiresAt };
  const map = stampMap(written, held === undefined ? undefined : mapOf(held), held?.stamp ?? zeroStamp, stamp);
  const fresh: Register = { stamp, type: 'crdt-map', value: encodeMap(map), expiresAt: write.expiresAt };
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
  return (
    compareStamps(a.stamp, b.stamp) || kindOf(a) - kindOf(b) || compareExpiry(a, b) || compareValues(a.value, b.value)
  );
}

const format = 1;
const headBytes = 2 + stampBytes;
/** On a kind: the time of expiry follows the stamp. */
const expires = 0x80;

/**
 * Format (u8), kind (u8: 0 bytes, 1 map, 2 tombstone; with the high bit for an entry that expires), stamp, time of expiry
 * (u48) for one that has it, value: one encoding for one state, to be stored and hashed.
 */
export function encodeRegister(register: Register): Uint8Array {
  const bytes = new Uint8Array(registerBytes(register));
  putRegister(bytes, register, 0);
  return bytes;
}

/** Bytes of an encoded register. */
export function registerBytes({ expiresAt, value }: Register): number {
  return headBytes + (expiresAt === undefined ? 0 : 6) + (value?.length ?? 0);
}

/** {@link encodeRegister} into bytes that the caller has; gives the place after it. */
export function putRegister(target: Uint8Array, register: Register, at: number): number {
  const { expiresAt } = register;
  const out = new Writer(target, at);
  out.uint(format, 1);
  out.uint(kindOf(register) | (expiresAt === undefined ? 0 : expires), 1);
  writeStamp(out, register.stamp);
  if (expiresAt !== undefined) out.uint(expiresAt, 6);
  if (register.value !== undefined) out.raw(register.value);
  return out.at;
}

/** The value is a view of `bytes`. `DataLoss` when they are no register. */
export function decodeRegister(bytes: Uint8Array): Register {
  const from = new Reader(bytes);
  const isKnown = from.uint(1) === format;
  const flags = from.uint(1);
  const kind = flags & ~expires;
  const stamp = readStamp(from);
  const expiresAt = flags === kind ? undefined : from.uint(6);
  const isTombstone = kind === 2;
  if (from.failed || !isKnown || kind > 2 || (isTombstone && (from.left > 0 || expiresAt !== undefined))) {
    throw oaasError('DataLoss', 'the record of an entry has an unknown form', {
      remedy: 'Rebuild this replica from another one.',
    });
  }
  if (isTombstone) return tombstoneOf(stamp);
  return { stamp, type: kind === 0 ? 'bytes' : 'crdt-map', value: from.raw(from.left), expiresAt };
}

function kindOf({ type, value }: Register): 0 | 1 | 2 {
  if (value === undefined) return 2;
  return type === 'bytes' ? 0 : 1;
}
