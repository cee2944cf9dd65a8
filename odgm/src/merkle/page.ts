import { type Key, maxKeyLength, maxLeafBytes, type PageHash } from './types.ts';

/** A page that others refer to by hash, one that was changed and has none yet, or nothing. */
export type Child = Page | PageHash | undefined;

/**
 * A node of the tree: the keys of one level that lie between two neighbours of a higher one, in order, and between them
 * the pages of lower levels: `children[i]` holds what is before `keys[i]`, the last child what is after all keys.
 * A page with a hash never changes again; one without belongs to the one tree that made it.
 */
export interface Page {
  readonly level: number;
  readonly keys: Key[];
  readonly leaves: Uint8Array[];
  readonly children: Child[];
  hash: PageHash | undefined;
}

/** Highest level: a 64-bit digest has 16 digits. */
export const maxLevel = 16;

/** Keys of one page. The chance of a page with more is (15/16)^4096, below 10^-114. Decoding refuses more. */
export const maxKeysPerPage = 4096;

const format = 1;
const headBytes = 4;
const entryHeadBytes = 5;
const noBytes = new Uint8Array(0);
/** On a level or leaf length: a child's digest follows. */
const hasChild = 0x80;

/**
 * A page as bytes, the same for the same content: format (u8), level (u8), number of keys (u16), the first child's
 * digest; then per key: bytes shared with the key before (u16), bytes of the rest (u16), leaf length (u8), rest,
 * leaf, digest of the child after it. The high bit of the level and of a leaf length says whether a digest follows.
 * Numbers are big-endian. All children must be hashes.
 */
export function encodePage(page: Page, digestLength: number): Uint8Array {
  const { keys, leaves, children } = page;
  const shared: number[] = [];
  let size = headBytes;
  for (const child of children) if (child !== undefined) size += digestLength;
  for (let i = 0; i < keys.length; i++) {
    const common = i === 0 ? 0 : sharedLength(keys[i - 1] ?? '', keys[i] ?? '');
    shared.push(common);
    size += entryHeadBytes + (keys[i]?.length ?? 0) - common + (leaves[i]?.length ?? 0);
  }
  const bytes = new Uint8Array(size);
  bytes[0] = format;
  bytes[1] = page.level | (children[0] === undefined ? 0 : hasChild);
  bytes[2] = keys.length >> 8;
  bytes[3] = keys.length;
  let at = writeDigest(bytes, headBytes, children[0]);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] ?? '';
    const leaf = leaves[i] ?? noBytes;
    const child = children[i + 1];
    const from = shared[i] ?? 0;
    const rest = key.length - from;
    bytes[at] = from >> 8;
    bytes[at + 1] = from;
    bytes[at + 2] = rest >> 8;
    bytes[at + 3] = rest;
    bytes[at + 4] = leaf.length | (child === undefined ? 0 : hasChild);
    at += entryHeadBytes;
    for (let k = from; k < key.length; k++) bytes[at++] = key.charCodeAt(k);
    // A loop: `set` costs more than the few bytes of a leaf.
    for (let k = 0; k < leaf.length; k++) bytes[at++] = leaf[k] ?? 0;
    at = writeDigest(bytes, at, child);
  }
  return bytes;
}

/**
 * The page of `bytes`, or `undefined` when they are not exactly what {@link encodePage} writes: keys out of order, a
 * bound broken, bytes missing or left. Leaves are views of `bytes`.
 */
export function decodePage(bytes: Uint8Array, hash: PageHash, digestLength: number): Page | undefined {
  const level = (bytes[1] ?? 0) & 0x7f;
  const count = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  if (bytes.length < headBytes || bytes[0] !== format) return undefined;
  if (level > maxLevel || count === 0 || count > maxKeysPerPage) return undefined;
  const page: Page = { level, keys: [], leaves: [], children: [], hash };
  const text = new Uint8Array(maxKeyLength);
  let at = headBytes;
  let flags = bytes[1] ?? 0;
  let last = '';
  for (let i = 0; ; i++) {
    if ((flags & hasChild) === 0) page.children.push(undefined);
    else {
      if (at + digestLength > bytes.length) return undefined;
      page.children.push(hexOf(bytes.subarray(at, at + digestLength)));
      at += digestLength;
    }
    if (i === count) break;
    if (at + entryHeadBytes > bytes.length) return undefined;
    const from = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    const rest = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    flags = bytes[at + 4] ?? 0;
    const leafLength = flags & 0x7f;
    at += entryHeadBytes;
    const isBounded =
      from <= last.length && from + rest <= maxKeyLength && leafLength >= 1 && leafLength <= maxLeafBytes;
    if (!isBounded || at + rest + leafLength > bytes.length) return undefined;
    text.set(bytes.subarray(at, at + rest), from);
    const key = textOf(text, from + rest);
    if (key <= last || (i > 0 && sharedLength(last, key) !== from)) return undefined;
    page.keys.push(key);
    page.leaves.push(bytes.subarray(at + rest, at + rest + leafLength));
    at += rest + leafLength;
    last = key;
  }
  return at === bytes.length ? page : undefined;
}

/** Index of the first key that is not below `key`: where it is, or belongs. */
export function indexOf(page: Page, key: Key): number {
  const { keys } = page;
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const hexPairs: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += hexPairs[byte] ?? '';
  return text;
}

/** Writes the bytes that a lowercase hexadecimal text names and returns where they end. */
export function writeHex(bytes: Uint8Array, at: number, hex: string): number {
  for (let i = 0; i < hex.length; i += 2) {
    bytes[at + i / 2] = (digitOf(hex.charCodeAt(i)) << 4) | digitOf(hex.charCodeAt(i + 1));
  }
  return at + hex.length / 2;
}

function digitOf(code: number): number {
  return code < 97 ? code - 48 : code - 87;
}

function writeDigest(bytes: Uint8Array, at: number, child: Child): number {
  return typeof child === 'string' ? writeHex(bytes, at, child) : at;
}

function sharedLength(a: Key, b: Key): number {
  const most = Math.min(a.length, b.length);
  let i = 0;
  while (i < most && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  return i;
}

function textOf(bytes: Uint8Array, length: number): string {
  return String.fromCharCode(...bytes.subarray(0, length));
}
