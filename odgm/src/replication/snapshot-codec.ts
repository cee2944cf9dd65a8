import { oaasError } from '@oaas/commons/errors';
import { crc32 } from 'node:zlib';
import { prefixEnd, type StorageReader } from '../storage/index.ts';
import { decodeMembers, encodeMembers, type MembersRecord } from './group-record.ts';
import { statePrefixLength } from './keys.ts';
import { Reader, Writer } from './wire.ts';

/** What a snapshot is, as its sender offers it. */
export interface SnapshotOffer {
  /** Chosen by the sender: the same for all tries of one transfer. */
  readonly transfer: number;
  readonly group: number;
  readonly fromEpoch: number;
  readonly toEpoch: number;
  /** The sender's term. */
  readonly term: number;
  /** Last entry that the state contains. */
  readonly index: number;
  readonly indexTerm: number;
  readonly members: MembersRecord;
}

const format = 1;

export function encodeOffer(offer: SnapshotOffer): Buffer {
  const members = encodeMembers(offer.members);
  const writer = new Writer(1 + 7 * 8 + members.length);
  writer.u8(format);
  writer.number(offer.transfer);
  writer.number(offer.group);
  writer.number(offer.fromEpoch);
  writer.number(offer.toEpoch);
  writer.number(offer.term);
  writer.number(offer.index);
  writer.number(offer.indexTerm);
  writer.raw(members);
  return writer.finish();
}

export function decodeOffer(bytes: Uint8Array): SnapshotOffer {
  const reader = new Reader(bytes);
  if (reader.u8() !== format) throw oaasError('Unimplemented', 'snapshots of this format are not known');
  return {
    transfer: reader.number(),
    group: reader.number(),
    fromEpoch: reader.number(),
    toEpoch: reader.number(),
    term: reader.number(),
    index: reader.number(),
    indexTerm: reader.number(),
    members: decodeMembers(reader),
  };
}

/** Where the receiver wants the sender to begin. `busy`: it receives enough already. */
export type OfferAnswer = { readonly kind: 'busy' } | { readonly kind: 'go'; readonly after: Uint8Array | undefined };

export function encodeAnswer(answer: OfferAnswer): Uint8Array {
  if (answer.kind === 'busy') return Uint8Array.of(0);
  return answer.after === undefined ? Uint8Array.of(1) : Buffer.concat([Uint8Array.of(2), answer.after]);
}

export function decodeAnswer(bytes: Uint8Array): OfferAnswer {
  switch (bytes[0]) {
    case 1:
      return { kind: 'go', after: undefined };
    case 2:
      return { kind: 'go', after: Uint8Array.from(bytes.subarray(1)) };
    default:
      return { kind: 'busy' };
  }
}

/**
 * A state as chunks: u32 crc32 of the rest, then a piece of one stream of records: length of the key, length of the
 * value, key without the state's prefix, value. A key of length 0 ends it, with the count of all records that this try
 * sent. A record may lie in several chunks.
 */
export function* encodeState(
  reader: StorageReader,
  prefix: Uint8Array,
  after: Uint8Array | undefined,
  chunkBytes: number,
): Generator<Uint8Array> {
  const start = after === undefined ? prefix : Buffer.concat([prefix, after, Uint8Array.of(0)]);
  const pieces = new Pieces(chunkBytes);
  let records = 0;
  for (const { key, value } of reader.range({ start, end: prefixEnd(prefix) })) {
    pieces.record(key.subarray(statePrefixLength), value);
    records += 1;
    yield* pieces.full();
  }
  pieces.end(records);
  yield* pieces.full();
  yield pieces.rest();
}

/** Cuts a stream of bytes into chunks of one size. */
class Pieces {
  readonly #size: number;
  #writer: Writer;

  constructor(size: number) {
    this.#size = size;
    this.#writer = this.#fresh(0);
  }

  record(key: Uint8Array, value: Uint8Array): void {
    const writer = this.#writer;
    writer.reserve(16 + key.length + value.length);
    writer.number(key.length);
    writer.number(value.length);
    writer.raw(key);
    writer.raw(value);
  }

  end(records: number): void {
    this.#writer.reserve(16);
    this.#writer.number(0);
    this.#writer.number(records);
  }

  *full(): Generator<Uint8Array> {
    while (this.#writer.at > this.#size) {
      const { bytes, at } = this.#writer;
      const next = this.#fresh(at - this.#size);
      next.raw(bytes.subarray(this.#size, at));
      this.#writer.at = this.#size;
      yield this.rest();
      this.#writer = next;
    }
  }

  rest(): Uint8Array {
    const chunk = this.#writer.bytes.subarray(0, this.#writer.at);
    chunk.writeUInt32BE(crc32(chunk.subarray(4)), 0);
    return chunk;
  }

  #fresh(atLeast: number): Writer {
    const writer = new Writer(Math.max(this.#size + 1024, atLeast + 1024));
    writer.at = 4;
    return writer;
  }
}

export interface StateRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Reads what {@link encodeState} wrote, chunk by chunk. Throws `DataLoss` for a chunk that was changed on its way. */
export class StateDecoder {
  /** The beginning of a record that goes on in the next chunk. */
  #rest: Uint8Array = noKey;
  #records = 0;
  #isComplete = false;

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** The records that are whole by now: views of the chunk, but for one that lies in several. */
  take(chunk: Uint8Array): StateRecord[] {
    const body = chunk.subarray(4);
    if (chunk.length < 4 || new DataView(chunk.buffer, chunk.byteOffset, 4).getUint32(0) !== crc32(body)) {
      throw oaasError('DataLoss', 'a chunk of a snapshot does not have its checksum');
    }
    const found: StateRecord[] = [];
    const from = this.#goOn(body, found);
    const reader = new Reader(body.subarray(from));
    let done = 0;
    while (!this.#isComplete && this.#read(reader, found)) done = reader.at;
    if (from + done < body.length) this.#rest = Buffer.concat([this.#rest, body.subarray(from + done)]);
    return found;
  }

  /** Reads the record that the chunks before have begun. Gives where the next one begins. */
  #goOn(body: Uint8Array, found: StateRecord[]): number {
    const begun = this.#rest.length;
    if (begun === 0) return 0;
    // Its lengths first, then no more than they say: a copy of the whole chunk would cost as much as all its records.
    const head = Buffer.concat([this.#rest, body.subarray(0, lengthsMax)]);
    const whole = wholeLength(head);
    if (whole === undefined || whole - begun > body.length) {
      this.#rest = Buffer.concat([this.#rest, body]);
      return body.length;
    }
    const record = whole <= head.length ? head : Buffer.concat([this.#rest, body.subarray(0, whole - begun)]);
    this.#rest = noKey;
    this.#read(new Reader(record.subarray(0, whole)), found);
    return whole - begun;
  }

  /** False: the record is not whole. */
  #read(reader: Reader, found: StateRecord[]): boolean {
    const record = this.#next(reader);
    if (record === undefined) return false;
    if (record.key.length > 0) found.push(record);
    return true;
  }

  #next(reader: Reader): StateRecord | undefined {
    const left = reader.bytes.length - reader.at;
    if (left < lengthsMax && !hasTwoNumbers(reader.bytes, reader.at)) return undefined;
    const keyLength = reader.number();
    const second = reader.number();
    if (keyLength === 0) {
      if (second !== this.#records) throw oaasError('DataLoss', 'a snapshot has lost records on its way');
      this.#isComplete = true;
      return { key: noKey, value: noKey };
    }
    if (keyLength + second > reader.bytes.length - reader.at) return undefined;
    this.#records += 1;
    return { key: reader.raw(keyLength), value: reader.raw(second) };
  }
}

const noKey = new Uint8Array(0);
/** Bytes of the two lengths at the most. */
const lengthsMax = 16;

/** Length of the record that begins here; undefined: that cannot be told yet. */
function wholeLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < lengthsMax && !hasTwoNumbers(bytes, 0)) return undefined;
  const reader = new Reader(bytes);
  const keyLength = reader.number();
  const second = reader.number();
  return keyLength === 0 ? reader.at : reader.at + keyLength + second;
}

function hasTwoNumbers(bytes: Uint8Array, from: number): boolean {
  let ends = 0;
  for (let at = from; at < bytes.length; at++) {
    if ((bytes[at] ?? 0) < 0x80) ends += 1;
    if (ends === 2) return true;
  }
  return false;
}
