import type { Entry } from './types.ts';

/** Bytes of one entry in protobuf's encoding of etcd/raft's `Entry`: what bounds in bytes count. */
export function entrySize(entry: Entry): number {
  const length = entry.data.length;
  // A key byte for each of the type, the term and the index, and the byte of the type.
  const head = 4 + varintSize(entry.term) + varintSize(entry.index);
  return length === 0 ? head : head + 1 + varintSize(length) + length;
}

export function entriesSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entrySize(entries[i] as Entry);
  return size;
}

/** Bytes of data alone. Empty entries count nothing, so that they are never refused for their size. */
export function payloadSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += (entries[i] as Entry).data.length;
  return size;
}

/** How many of the entries from `from` on, before `to`, fit in `maxBytes`: at least one. */
export function countWithin(entries: readonly Entry[], from: number, to: number, maxBytes: number): number {
  if (maxBytes === Infinity || from >= to) return to - from;
  let size = entrySize(entries[from] as Entry);
  let at = from + 1;
  for (; at < to; at++) {
    size += entrySize(entries[at] as Entry);
    if (size > maxBytes) break;
  }
  return at - from;
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let size = 4;
  for (let rest = value / 0x10000000; rest >= 1; rest /= 0x80) size++;
  return size;
}
