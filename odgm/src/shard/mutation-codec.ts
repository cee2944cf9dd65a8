import { oaasError } from '@oaas/commons/errors';
import type { CheckMark, ExpiringEntry, Mutation, ShardLimits, Value } from './model.ts';
import { putText } from './records.ts';

/**
 * A mutation as bytes of a log entry. Every replica decodes what one of them encoded, perhaps of another version, so
 * the first byte is the format; one that is not known must stop the replica, since skipping it would make it differ.
 *
 * Format 1: u8 format, u8 type, then by type. Numbers are LEB128 up to 2^53-1, texts are Latin-1 after their length,
 * times are u48. The limits travel with the mutation: what is refused must not hang on the configuration of the
 * replica that applies it.
 *
 * - change: u8 flags, limits (3), id, expected version?, count of puts x (key, u8 flags, expiry?, bytes), count of removes x key, event?
 * - delete: u8 flags, id, expected version?
 * - expire: count x (id, key, time)
 * - mark: u8 flags, id, version of the content's hash
 */
const format = 1;
const types = { change: 1, delete: 2, expire: 3, mark: 4 } as const;
const flags = { replace: 1, event: 2, expected: 4 } as const;
const markFlags = { scan: 1 } as const;
const valueFlags = { crdtMap: 1, expires: 2 } as const;

export interface DecodedMutation {
  readonly mutation: Mutation | CheckMark;
  /** Those of the proposer. Undefined for what writes nothing. */
  readonly limits: ShardLimits | undefined;
}

export function encodeMutation(mutation: Mutation | CheckMark, limits: ShardLimits): Buffer {
  const writer = new Writer(sizeOf(mutation));
  writer.u8(format);
  switch (mutation.type) {
    case 'change':
      writeChange(writer, mutation, limits);
      break;
    case 'delete':
      writer.u8(types.delete);
      writer.u8(mutation.expectedVersion === undefined ? 0 : flags.expected);
      writer.text(mutation.objectId);
      if (mutation.expectedVersion !== undefined) writer.number(mutation.expectedVersion);
      break;
    case 'expire':
      writer.u8(types.expire);
      writer.number(mutation.entries.length);
      for (const { objectId, key, expiresAt } of mutation.entries) {
        writer.text(objectId);
        writer.text(key);
        writer.time(expiresAt);
      }
      break;
    case 'mark':
      writer.u8(types.mark);
      writer.u8(mutation.scan ? markFlags.scan : 0);
      writer.text(mutation.id);
      writer.number(mutation.algorithm);
  }
  return writer.finish();
}

/** Whether an entry is a mark that asks for a scan, by its first bytes. */
export function isScanMark(bytes: Uint8Array): boolean {
  return bytes[1] === types.mark && bytes[0] === format && ((bytes[2] ?? 0) & markFlags.scan) !== 0;
}

type Change = Extract<Mutation, { type: 'change' }>;

function writeChange(writer: Writer, mutation: Change, limits: ShardLimits): void {
  const { event, expectedVersion } = mutation;
  writer.u8(types.change);
  writer.u8(
    (mutation.replace ? flags.replace : 0) |
      (event === undefined ? 0 : flags.event) |
      (expectedVersion === undefined ? 0 : flags.expected),
  );
  writer.number(limits.maxValueBytes);
  writer.number(limits.maxEntriesPerObject);
  writer.number(limits.maxObjectBytes);
  writer.text(mutation.objectId);
  if (expectedVersion !== undefined) writer.number(expectedVersion);
  writer.number(mutation.put.size);
  for (const [key, value] of mutation.put) {
    writer.text(key);
    writer.u8(
      (value.type === 'bytes' ? 0 : valueFlags.crdtMap) | (value.expiresAt === undefined ? 0 : valueFlags.expires),
    );
    if (value.expiresAt !== undefined) writer.time(value.expiresAt);
    writer.bytes(value.data);
  }
  writer.number(mutation.remove.length);
  for (const key of mutation.remove) writer.text(key);
  if (event !== undefined) writer.bytes(event);
}

/** Most bytes that a mutation can take. */
function sizeOf(mutation: Mutation | CheckMark): number {
  const perNumber = 8;
  switch (mutation.type) {
    case 'change': {
      let size = 7 * perNumber + 3 + mutation.objectId.length + perNumber + (mutation.event?.length ?? 0);
      for (const [key, { data }] of mutation.put) size += key.length + data.length + 2 * perNumber + 7;
      for (const key of mutation.remove) size += key.length + perNumber;
      return size;
    }
    case 'delete':
      return 3 + mutation.objectId.length + 2 * perNumber;
    case 'expire': {
      let size = 2 + perNumber;
      for (const { objectId, key } of mutation.entries) size += objectId.length + key.length + 2 * perNumber + 6;
      return size;
    }
    case 'mark':
      return 3 + mutation.id.length + 2 * perNumber;
  }
}

/** Throws `DataLoss` for bytes that are no mutation of a known format; the entries' bytes are views of `bytes`. */
export function decodeMutation(bytes: Uint8Array): DecodedMutation {
  const reader = new Reader(bytes);
  if (reader.u8() !== format) throw unreadable('the format is unknown');
  const type = reader.u8();
  const decoded = decodeBody(reader, type);
  reader.end();
  return decoded;
}

function decodeBody(reader: Reader, type: number): DecodedMutation {
  switch (type) {
    case types.change:
      return readChange(reader);
    case types.delete: {
      const set = reader.u8();
      const objectId = reader.text();
      const expectedVersion = (set & flags.expected) === 0 ? undefined : reader.number();
      return { mutation: { type: 'delete', objectId, expectedVersion }, limits: undefined };
    }
    case types.expire: {
      const entries: ExpiringEntry[] = [];
      for (let left = reader.number(); left > 0; left--) {
        entries.push({ objectId: reader.text(), key: reader.text(), expiresAt: reader.time() });
      }
      return { mutation: { type: 'expire', entries }, limits: undefined };
    }
    case types.mark: {
      const scan = (reader.u8() & markFlags.scan) !== 0;
      return { mutation: { type: 'mark', id: reader.text(), algorithm: reader.number(), scan }, limits: undefined };
    }
    default:
      throw unreadable('the type is unknown');
  }
}

function readChange(reader: Reader): DecodedMutation {
  const set = reader.u8();
  const limits = {
    maxValueBytes: reader.number(),
    maxEntriesPerObject: reader.number(),
    maxObjectBytes: reader.number(),
  };
  const objectId = reader.text();
  const expectedVersion = (set & flags.expected) === 0 ? undefined : reader.number();
  const put = new Map<string, Value>();
  for (let left = reader.number(); left > 0; left--) {
    const key = reader.text();
    const flag = reader.u8();
    const expiresAt = (flag & valueFlags.expires) === 0 ? undefined : reader.time();
    put.set(key, { data: reader.bytes(), type: (flag & valueFlags.crdtMap) === 0 ? 'bytes' : 'crdt-map', expiresAt });
  }
  const remove: string[] = [];
  for (let left = reader.number(); left > 0; left--) remove.push(reader.text());
  const event = (set & flags.event) === 0 ? undefined : reader.bytes();
  const replace = (set & flags.replace) !== 0;
  return { mutation: { type: 'change', objectId, put, remove, replace, event, expectedVersion }, limits };
}

function unreadable(what: string): Error {
  return oaasError('DataLoss', `an entry of the log cannot be read: ${what}`, {
    remedy: 'Run the version that wrote it; if it is no newer, rebuild this replica from another one.',
  });
}

class Writer {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  u8(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  number(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  time(value: number): void {
    this.#at = this.#bytes.writeUIntBE(value, this.#at, 6);
  }

  text(value: string): void {
    this.number(value.length);
    putText(this.#bytes, value, this.#at);
    this.#at += value.length;
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw unreadable('a number is too large');
  }

  time(): number {
    return this.#bytes.readUIntBE(this.#take(6), 6);
  }

  text(): string {
    const length = this.number();
    const from = this.#take(length);
    return this.#bytes.toString('latin1', from, from + length);
  }

  bytes(): Uint8Array {
    const length = this.number();
    const from = this.#take(length);
    return this.#bytes.subarray(from, from + length);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw unreadable('there is more than one mutation');
  }

  #take(length: number): number {
    const from = this.#at;
    if (length > this.#bytes.length - from) throw unreadable('it ends too early');
    this.#at = from + length;
    return from;
  }
}
