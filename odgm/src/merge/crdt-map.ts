import { compareBytes, compareText, Reader, Writer } from './bytes.ts';
import { compareStamps, laterStamp, readStamp, type Stamp, stampBytes, writeStamp, zeroStamp } from './stamp.ts';

export interface MapElement {
  /** Zero in a map that a client writes: the replica that accepts it gives it its stamp. */
  readonly stamp: Stamp;
  /** Absent: taken away. */
  readonly value: Uint8Array | undefined;
}

/** A map in which each key is a register of its own: replicas that write different keys at once keep both. */
export interface CrdtMap {
  /** Elements up to this stamp are gone. */
  readonly cleared: Stamp;
  /** In a map that a client writes: the keys that it does not name go. False: they stay. Never set in a stored map. */
  readonly replace: boolean;
  /** By key: bytes as text, one character of U+0000 to U+00FF each, in ascending order. Clients write UTF-8. */
  readonly elements: ReadonlyMap<string, MapElement>;
}

const magic = [0x4f, 0x4d, 0x41, 0x50] as const;
const format = 1;
const headBytes = magic.length + 2 + stampBytes + 4;

/**
 * The bytes of a value of type CRDT_MAP, the same for the same map: `OMAP`, format 1 (u8), replace (u8: 0 or 1), cleared
 * (stamp), number of elements (u32); then per element, in ascending order of keys: key length (u16), key, stamp, 1 for
 * a value or 0 for none (u8), and for a value its length (u32) and bytes. A stamp is ms (u48), counter (u16), member
 * (u64). Numbers are big-endian.
 */
export function encodeMap(map: CrdtMap): Uint8Array {
  const elements = [...map.elements].sort(([a], [b]) => compareText(a, b));
  let size = headBytes;
  for (const [key, { value }] of elements) {
    size += 2 + key.length + stampBytes + 1 + (value === undefined ? 0 : 4 + value.length);
  }
  const out = new Writer(size);
  for (const byte of magic) out.uint(byte, 1);
  out.uint(format, 1);
  out.uint(map.replace ? 1 : 0, 1);
  writeStamp(out, map.cleared);
  out.uint(elements.length, 4);
  for (const [key, { stamp, value }] of elements) {
    out.uint(key.length, 2);
    for (let i = 0; i < key.length; i++) out.uint(key.charCodeAt(i), 1);
    writeStamp(out, stamp);
    out.uint(value === undefined ? 0 : 1, 1);
    if (value === undefined) continue;
    out.uint(value.length, 4);
    out.raw(value);
  }
  return out.bytes;
}

/**
 * The map that `bytes` are; `undefined` when they are not exactly what {@link encodeMap} writes, such as maps of other
 * makers (an Automerge document, say). Values are views of `bytes`.
 */
export function decodeMap(bytes: Uint8Array): CrdtMap | undefined {
  if (bytes.length < headBytes || magic.some((byte, i) => bytes[i] !== byte)) return undefined;
  const from = new Reader(bytes, magic.length);
  if (from.uint(1) !== format) return undefined;
  const replace = from.uint(1);
  const cleared = readStamp(from);
  const count = from.uint(4);
  const elements = new Map<string, MapElement>();
  let last: string | undefined;
  for (let i = 0; i < count && !from.failed; i++) {
    const key = textOf(from.raw(from.uint(2)));
    const stamp = readStamp(from);
    const kind = from.uint(1);
    const value = kind === 1 ? from.raw(from.uint(4)) : undefined;
    if (kind > 1 || (last !== undefined && key <= last)) return undefined;
    elements.set(key, { stamp, value });
    last = key;
  }
  return from.isComplete && replace <= 1 ? { cleared, replace: replace === 1, elements } : undefined;
}

/** Both maps' elements, the later of each key, without what either has cleared. */
export function mergeMaps(a: CrdtMap, b: CrdtMap): CrdtMap {
  return clearMap({ cleared: a.cleared, replace: false, elements: laterOfEach(a.elements, b.elements) }, b.cleared);
}

/** The map without elements up to `stamp`. */
export function clearMap(map: CrdtMap, stamp: Stamp): CrdtMap {
  const cleared = laterStamp(map.cleared, stamp);
  const elements = [...map.elements].filter(([, element]) => compareStamps(element.stamp, cleared) > 0);
  return { cleared, replace: false, elements: new Map(elements) };
}

/**
 * The map that a client wrote, as the accepting replica stores it: what the client changed gets the stamp of the write.
 * An element is unchanged when the held map has it with the same stamp and value, so that a client may read a map, change
 * it and write all of it back.
 */
export function stampMap(written: CrdtMap, held: CrdtMap | undefined, heldStamp: Stamp, stamp: Stamp): CrdtMap {
  const elements = new Map<string, MapElement>();
  for (const [key, element] of written.elements) {
    const old = held?.elements.get(key);
    const isOld = old !== undefined && compareElements(old, element) === 0;
    elements.set(key, isOld && !written.replace ? element : { stamp, value: element.value });
  }
  return { cleared: written.replace ? heldStamp : zeroStamp, replace: false, elements };
}

function laterOfEach(
  a: ReadonlyMap<string, MapElement>,
  b: ReadonlyMap<string, MapElement>,
): ReadonlyMap<string, MapElement> {
  const later = new Map(a);
  for (const [key, element] of b) {
    const other = later.get(key);
    if (other === undefined || compareElements(other, element) < 0) later.set(key, element);
  }
  return later;
}

function compareElements(a: MapElement, b: MapElement): number {
  return compareStamps(a.stamp, b.stamp) || compareValues(a.value, b.value);
}

/** A total order of what values say, for writes that have the same stamp; none is before any. */
export function compareValues(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1);
  return compareBytes(a, b);
}

/** By pieces, because a call takes only so many arguments. */
function textOf(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}
