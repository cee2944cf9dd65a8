import { type Entry, type EntryType, makeMessage, type Message, type MessageType, noBytes } from '../raft/index.ts';
import { Reader, Writer } from './wire.ts';

/**
 * Messages of many groups to one member, in one payload of the mesh. Format 1: u8 format, then for each message u8 type,
 * u8 flags, group, epochs?, from?, term, logTerm, index, commit, commitTerm?, rejectHint?, context?, entries?. Numbers are
 * LEB128.
 * Entries: count, first index, then for each term, u8 type, length, data.
 */
const format = 1;
const flags = { reject: 1, context: 2, entries: 4, quiet: 8, epochs: 16, from: 32, commitTerm: 64 } as const;

/** Data of at least this many bytes travels as a part of its own instead of being copied. */
const largeData = 32 * 1024;
const arenaBytes = 128 * 1024;
/** Room for the numbers of a message, and of an entry. */
const headBytes = 96;
const entryHeadBytes = 32;

/** One message with what surrounds it. */
export interface Addressed {
  readonly group: number;
  /** Epoch of the sender's replica. */
  readonly fromEpoch: number;
  /** Epoch of the receiver's replica as the sender knows it. */
  readonly toEpoch: number;
  /** The sender goes quiet, and asks the receiver to do so. */
  readonly quiet: boolean;
  readonly message: Message;
}

/** Collects messages to one member, in a buffer that it uses again. */
export class FrameWriter {
  #writer = new Writer(arenaBytes);
  #start = 0;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** Bytes collected by now. */
  get size(): number {
    return this.#bytes + this.#writer.at - this.#start;
  }

  /** `fromEpoch` and `toEpoch`: see {@link Addressed}. `from` of the message is left out where it is `self`. */
  add(group: number, fromEpoch: number, toEpoch: number, quiet: boolean, message: Message, self: number): void {
    const { context, entries, reject, from, commitTerm } = message;
    this.#reserve(headBytes + context.length);
    const writer = this.#writer;
    if (this.size === 0) writer.u8(format);
    const hasEpochs = fromEpoch !== 1 || toEpoch !== 1;
    writer.u8(message.type);
    writer.u8(
      (reject ? flags.reject : 0) |
        (context.length > 0 ? flags.context : 0) |
        (entries.length > 0 ? flags.entries : 0) |
        (quiet ? flags.quiet : 0) |
        (hasEpochs ? flags.epochs : 0) |
        (from === self ? 0 : flags.from) |
        (commitTerm === 0 ? 0 : flags.commitTerm),
    );
    writer.number(group);
    if (hasEpochs) {
      writer.number(fromEpoch);
      writer.number(toEpoch);
    }
    if (from !== self) writer.number(from);
    writer.number(message.term);
    writer.number(message.logTerm);
    writer.number(message.index);
    writer.number(message.commit);
    if (commitTerm !== 0) writer.number(commitTerm);
    if (reject) writer.number(message.rejectHint);
    if (context.length > 0) {
      writer.number(context.length);
      writer.raw(context);
    }
    if (entries.length > 0) this.#addEntries(entries);
  }

  /** Everything collected, as one payload; the next one begins. The parts are good until the next {@link add}. */
  take(): Uint8Array[] {
    this.#cut();
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    this.#writer.at = 0;
    this.#start = 0;
    return parts;
  }

  #addEntries(entries: readonly Entry[]): void {
    this.#writer.number(entries.length);
    this.#writer.number(entries[0]?.index ?? 0);
    for (const { term, type, data } of entries) {
      const { length } = data;
      const isLarge = length >= largeData;
      this.#reserve(entryHeadBytes + (isLarge ? 0 : length));
      const writer = this.#writer;
      writer.number(term);
      writer.u8(type);
      writer.number(length);
      if (!isLarge) {
        writer.raw(data);
        continue;
      }
      this.#cut();
      this.#parts.push(data);
      this.#bytes += length;
    }
  }

  #reserve(count: number): void {
    if (this.#writer.at + count <= this.#writer.bytes.length) return;
    this.#cut();
    this.#writer = new Writer(Math.max(arenaBytes, count));
    this.#start = 0;
  }

  #cut(): void {
    const writer = this.#writer;
    if (writer.at === this.#start) return;
    this.#parts.push(writer.bytes.subarray(this.#start, writer.at));
    this.#bytes += writer.at - this.#start;
    this.#start = writer.at;
  }
}

/** A payload that is a small piece of a large read is copied, so that what is kept of it does not keep the rest. */
const pinnedRatio = 4;

/**
 * Calls `each` for every message. Data of entries are views of the payload, or of a copy. Throws `DataLoss` for bytes
 * that are none; messages before that place were given out.
 */
export function readFrame(payload: Uint8Array, from: number, to: number, each: (addressed: Addressed) => void): void {
  const isPinning = payload.buffer.byteLength > payload.length * pinnedRatio;
  const reader = new Reader(isPinning ? Uint8Array.from(payload) : payload);
  if (reader.u8() !== format) return;
  while (!reader.isAtEnd) each(readMessage(reader, from, to));
}

function readMessage(reader: Reader, sender: number, to: number): Addressed {
  const type = reader.u8() as MessageType;
  const set = reader.u8();
  const group = reader.number();
  const hasEpochs = (set & flags.epochs) !== 0;
  const fromEpoch = hasEpochs ? reader.number() : 1;
  const toEpoch = hasEpochs ? reader.number() : 1;
  const from = (set & flags.from) === 0 ? sender : reader.number();
  const message = makeMessage(type, to, from, reader.number());
  message.logTerm = reader.number();
  message.index = reader.number();
  message.commit = reader.number();
  if ((set & flags.commitTerm) !== 0) message.commitTerm = reader.number();
  if ((set & flags.reject) !== 0) {
    message.reject = true;
    message.rejectHint = reader.number();
  }
  message.context = (set & flags.context) === 0 ? noBytes : reader.raw(reader.number());
  if ((set & flags.entries) !== 0) message.entries = readEntries(reader);
  return { group, fromEpoch, toEpoch, quiet: (set & flags.quiet) !== 0, message };
}

function readEntries(reader: Reader): Entry[] {
  const count = reader.number();
  const first = reader.number();
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    const term = reader.number();
    const type = reader.u8() as EntryType;
    entries.push({ term, index: first + i, type, data: reader.raw(reader.number()) });
  }
  return entries;
}
