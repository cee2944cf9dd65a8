import { ByteReader, ByteWriter, unreadable } from './byte-codec.ts';
import type { CheckMark, ExpiringEntry, Firing, Mutation, ShardLimits, Value } from './model.ts';
import { type OutboxChange, readOutboxChange, sizeOfOutboxChange, writeOutboxChange } from './outbox-change.ts';

/**
 * A mutation as bytes of a log entry. Every replica decodes what one of them encoded, perhaps of another version, so
 * the first byte is the format; one that is not known must stop the replica, since skipping it would make it differ.
 *
 * Format 1: u8 format, u8 type, then by type. Numbers are LEB128 up to 2^53-1, texts are Latin-1 after their length,
 * times are u48. The limits travel with the mutation: what is refused must not hang on the configuration of the
 * replica that applies it.
 *
 * - change: u8 flags, limits (3), id, expected version?, count of puts x (key, u8 flags, expiry?, bytes), count of removes x key, event?, firing?
 * - delete: u8 flags, id, expected version?, firing?
 * - expire: count x (id, key, time); also as a type of its own that fires triggers
 * - mark: u8 flags, id, version of the content's hash
 * - outbox: see outbox-change.ts
 *
 * Firing is time and depth: whether triggers fire is said by the entry, so that all replicas do alike. Programs that do
 * not know it stop; it is written once all members of the cluster do.
 */
const format = 1;
const types = { change: 1, delete: 2, expire: 3, mark: 4, outbox: 5, expireAndFire: 6 } as const;
const flags = { replace: 1, event: 2, expected: 4, fires: 8 } as const;
const markFlags = { scan: 1 } as const;
const valueFlags = { crdtMap: 1, expires: 2 } as const;

export interface DecodedMutation {
  readonly mutation: Mutation | CheckMark | OutboxChange;
  /** Those of the proposer. Undefined for what writes nothing. */
  readonly limits: ShardLimits | undefined;
}

/** `fires`: a change with a time sets off triggers. */
export function encodeMutation(
  mutation: Mutation | CheckMark | OutboxChange,
  limits: ShardLimits,
  fires = false,
): Buffer {
  const writer = new ByteWriter(sizeOf(mutation));
  writer.u8(format);
  switch (mutation.type) {
    case 'change':
      writeChange(writer, mutation, limits, fires);
      break;
    case 'delete': {
      const firesNow = fires && mutation.at !== undefined;
      writer.u8(types.delete);
      writer.u8((mutation.expectedVersion === undefined ? 0 : flags.expected) | (firesNow ? flags.fires : 0));
      writer.text(mutation.objectId);
      if (mutation.expectedVersion !== undefined) writer.number(mutation.expectedVersion);
      if (firesNow) writeFiring(writer, mutation);
      break;
    }
    case 'expire':
      writer.u8(fires ? types.expireAndFire : types.expire);
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
      break;
    case 'outbox':
      writer.u8(types.outbox);
      writeOutboxChange(writer, mutation);
  }
  return writer.finish();
}

/** Whether an entry sets off triggers, by its first bytes. */
export function firesTriggers(bytes: Uint8Array): boolean {
  const type = bytes[1];
  if (type === types.change || type === types.delete) return ((bytes[2] ?? 0) & flags.fires) !== 0;
  return type === types.expireAndFire;
}

/** As the body of a message: as an entry of a log has it. */
export function encodeOutboxChange(change: OutboxChange): Buffer {
  const writer = new ByteWriter(sizeOf(change));
  writer.u8(format);
  writer.u8(types.outbox);
  writeOutboxChange(writer, change);
  return writer.finish();
}

/** Throws `DataLoss` for anything else. */
export function decodeOutboxChange(bytes: Uint8Array): OutboxChange {
  const { mutation } = decodeMutation(bytes);
  if (mutation.type !== 'outbox') throw unreadable('it is about no events');
  return mutation;
}

/** Whether an entry is a mark that asks for a scan, by its first bytes. */
export function isScanMark(bytes: Uint8Array): boolean {
  return bytes[1] === types.mark && bytes[0] === format && ((bytes[2] ?? 0) & markFlags.scan) !== 0;
}

type Change = Extract<Mutation, { type: 'change' }>;

function writeFiring(writer: ByteWriter, { at = 0, depth = 0 }: Firing): void {
  writer.time(wholeTime(at));
  writer.number(depth);
}

/** As an entry of the log has it: whoever wrote the entry and whoever reads it mean the same time. */
export function wholeTime(at: number): number {
  return Math.min(Math.max(0, Math.floor(at)), 2 ** 48 - 1);
}

function writeChange(writer: ByteWriter, mutation: Change, limits: ShardLimits, fires: boolean): void {
  const { event, expectedVersion } = mutation;
  const firesNow = fires && mutation.at !== undefined;
  writer.u8(types.change);
  writer.u8(
    (mutation.replace ? flags.replace : 0) |
      (event === undefined ? 0 : flags.event) |
      (expectedVersion === undefined ? 0 : flags.expected) |
      (firesNow ? flags.fires : 0),
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
  if (firesNow) writeFiring(writer, mutation);
}

/** Most bytes that a mutation can take. */
function sizeOf(mutation: Mutation | CheckMark | OutboxChange): number {
  const perNumber = 8;
  switch (mutation.type) {
    case 'change': {
      let size = 9 * perNumber + 3 + mutation.objectId.length + perNumber + (mutation.event?.length ?? 0);
      for (const [key, { data }] of mutation.put) size += key.length + data.length + 2 * perNumber + 7;
      for (const key of mutation.remove) size += key.length + perNumber;
      return size;
    }
    case 'delete':
      return 3 + mutation.objectId.length + 4 * perNumber;
    case 'expire': {
      let size = 2 + perNumber;
      for (const { objectId, key } of mutation.entries) size += objectId.length + key.length + 2 * perNumber + 6;
      return size;
    }
    case 'mark':
      return 3 + mutation.id.length + 2 * perNumber;
    case 'outbox':
      return 2 + sizeOfOutboxChange(mutation);
  }
}

/** Throws `DataLoss` for bytes that are no mutation of a known format; the entries' bytes are views of `bytes`. */
export function decodeMutation(bytes: Uint8Array): DecodedMutation {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== format) throw unreadable('the format is unknown');
  const type = reader.u8();
  const decoded = decodeBody(reader, type);
  reader.end();
  return decoded;
}

function decodeBody(reader: ByteReader, type: number): DecodedMutation {
  switch (type) {
    case types.change:
      return readChange(reader);
    case types.delete: {
      const set = reader.u8();
      const objectId = reader.text();
      const expectedVersion = (set & flags.expected) === 0 ? undefined : reader.number();
      return { mutation: { type: 'delete', objectId, expectedVersion, ...readFiring(reader, set) }, limits: undefined };
    }
    case types.expire:
    case types.expireAndFire: {
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
    case types.outbox:
      return { mutation: readOutboxChange(reader), limits: undefined };
    default:
      throw unreadable('the type is unknown');
  }
}

function readChange(reader: ByteReader): DecodedMutation {
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
  const firing = readFiring(reader, set);
  return { mutation: { type: 'change', objectId, put, remove, replace, event, expectedVersion, ...firing }, limits };
}

function readFiring(reader: ByteReader, set: number): Firing | undefined {
  return (set & flags.fires) === 0 ? undefined : { at: reader.time(), depth: reader.number() };
}
