import { oaasError } from '@oaas/commons/errors';
import {
  type ConfChange,
  type ConfChangeSingle,
  type ConfChangeTransition,
  type ConfChangeType,
  type ConfChangeV2,
  type Entry,
  EntryType,
  noBytes,
} from '../types.ts';

/** Field numbers of etcd/raft's raftpb, in protobuf's encoding: `ConfChange`, `ConfChangeV2`, `ConfChangeSingle`. */
const v1 = { type: 2, nodeId: 3, context: 4 } as const;
const v2 = { transition: 1, changes: 2, context: 3 } as const;
const single = { type: 1, nodeId: 2 } as const;

export function isConfChangeV2(change: ConfChange | ConfChangeV2): change is ConfChangeV2 {
  return 'changes' in change;
}

export function toConfChangeV2(change: ConfChange | ConfChangeV2): ConfChangeV2 {
  if (isConfChangeV2(change)) return change;
  return { transition: 0, changes: [{ type: change.type, nodeId: change.nodeId }], context: change.context };
}

export function encodeConfChange(change: ConfChange | ConfChangeV2): Uint8Array {
  const bytes: number[] = [];
  if (isConfChangeV2(change)) {
    putNumber(bytes, v2.transition, change.transition);
    for (const { type, nodeId } of change.changes) {
      const inner: number[] = [];
      putNumber(inner, single.type, type);
      putNumber(inner, single.nodeId, nodeId);
      putBytes(bytes, v2.changes, inner);
    }
    if (change.context.length > 0) putBytes(bytes, v2.context, change.context);
  } else {
    putNumber(bytes, v1.type, change.type);
    putNumber(bytes, v1.nodeId, change.nodeId);
    if (change.context.length > 0) putBytes(bytes, v1.context, change.context);
  }
  return Uint8Array.from(bytes);
}

/** The change that an entry holds; undefined for a normal entry. Throws `StorageCorrupt` if its data is none. */
export function confChangeOf(entry: Entry): ConfChange | ConfChangeV2 | undefined {
  switch (entry.type) {
    case EntryType.EntryNormal:
      return undefined;
    case EntryType.EntryConfChange:
      return decodeV1(entry.data);
    case EntryType.EntryConfChangeV2:
      return decodeV2(entry.data);
  }
}

function decodeV1(data: Uint8Array): ConfChange {
  const reader = new Reader(data);
  let type = 0;
  let nodeId = 0;
  let context = noBytes;
  while (reader.next()) {
    if (reader.field === v1.type) type = reader.number;
    else if (reader.field === v1.nodeId) nodeId = reader.number;
    else if (reader.field === v1.context) context = reader.bytes;
  }
  return { type: type as ConfChangeType, nodeId, context };
}

function decodeV2(data: Uint8Array): ConfChangeV2 {
  const reader = new Reader(data);
  let transition = 0;
  const changes: ConfChangeSingle[] = [];
  let context = noBytes;
  while (reader.next()) {
    if (reader.field === v2.transition) transition = reader.number;
    else if (reader.field === v2.changes) changes.push(decodeSingle(reader.bytes));
    else if (reader.field === v2.context) context = reader.bytes;
  }
  return { transition: transition as ConfChangeTransition, changes, context };
}

function decodeSingle(data: Uint8Array): ConfChangeSingle {
  const reader = new Reader(data);
  let type = 0;
  let nodeId = 0;
  while (reader.next()) {
    if (reader.field === single.type) type = reader.number;
    else if (reader.field === single.nodeId) nodeId = reader.number;
  }
  return { type: type as ConfChangeType, nodeId };
}

function putVarint(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
}

function putNumber(bytes: number[], field: number, value: number): void {
  putVarint(bytes, field * 8);
  putVarint(bytes, value);
}

function putBytes(bytes: number[], field: number, value: ArrayLike<number>): void {
  putVarint(bytes, field * 8 + 2);
  putVarint(bytes, value.length);
  for (let i = 0; i < value.length; i++) bytes.push(value[i] as number);
}

/** Walks over the fields of one message. Only the two kinds of fields that these messages have (varint, bytes) are known. */
class Reader {
  field = 0;
  number = 0;
  bytes: Uint8Array = noBytes;
  readonly #data: Uint8Array;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  next(): boolean {
    if (this.#at === this.#data.length) return false;
    const key = this.#varint();
    this.field = Math.floor(key / 8);
    this.number = 0;
    this.bytes = noBytes;
    switch (key % 8) {
      case 0:
        this.number = this.#varint();
        return true;
      case 2: {
        const end = this.#varint() + this.#at;
        if (end > this.#data.length) throw damaged();
        this.bytes = this.#data.subarray(this.#at, end);
        this.#at = end;
        return true;
      }
      default:
        throw damaged();
    }
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 0x80) {
      const byte = this.#data[this.#at++];
      if (byte === undefined) break;
      value += (byte % 0x80) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw damaged();
  }
}

function damaged(): Error {
  return oaasError('StorageCorrupt', 'a configuration entry of the Raft log cannot be decoded');
}
