import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { payloadCopyMax } from '../../http2/index.ts';
import type { MessageType } from '../definition.ts';
import { Pen, Scanner } from '../fast/index.ts';

/** The codec of a type as ts-proto generates it: it goes on with a reader or writer that it is given. */
interface StreamingType {
  encode(message: unknown, writer?: BinaryWriter): { finish(): Uint8Array };
  decode(input: BinaryReader | Uint8Array, length?: number): unknown;
}

/** A larger message than this leaves its buffer to the garbage collector. */
const keptBytes = 256 * 1024;

/**
 * Encodes and decodes the messages of a server or channel without new buffers, readers and slices for each: one writer
 * whose buffer has grown to the usual size, and one reader for all messages of a chunk from the socket.
 */
export class Codec {
  private readonly pen = new Pen(payloadCopyMax);
  private readonly scanner = new Scanner();
  private writer = new BinaryWriter();
  private reader = new BinaryReader(new Uint8Array(0));
  private chunk: Uint8Array | undefined = undefined;
  private readonly takesReader = new WeakMap<MessageType, boolean>();
  private readonly borrows: boolean;

  /** @param borrows contents that are read are never copied: see `requestBytes` of the server. */
  constructor(borrows = false) {
    this.borrows = borrows;
  }

  /** Encodes a whole message. Up to `payloadCopyMax` bytes are only valid until the next call. */
  encode(type: MessageType, message: unknown): Uint8Array {
    return this.draw(type, message) ?? this.write(type, message);
  }

  /** Encodes a message of which fields may be missing. */
  encodePartial(type: MessageType, message: unknown): Uint8Array {
    const drawn = this.draw(type, message);
    if (drawn === undefined) return this.write(type, type.fromPartial(message));
    return drawn.length <= payloadCopyMax ? Buffer.from(drawn) : drawn;
  }

  /**
   * Decodes `bytes[start, end)`. What the type does not copy still lies in `bytes`; where these are the message's own
   * (`isOwn`), nothing needs to be copied.
   */
  decode(type: MessageType, bytes: Uint8Array, start: number, end: number, isOwn = false): unknown {
    const { fast } = type;
    if (fast !== undefined) {
      const { scanner } = this;
      scanner.start(bytes, start, isOwn || this.borrows);
      const message = fast.read(scanner, end);
      if (!scanner.hasGivenUp) return message;
    }
    return this.read(type, bytes, start, end);
  }

  /** By hand; undefined when the message is none of the usual kind. */
  private draw({ fast }: MessageType, message: unknown): Uint8Array | undefined {
    if (fast === undefined) return undefined;
    const { pen } = this;
    pen.reset();
    return fast.write(pen, message as never) ? pen.take() : undefined;
  }

  private write(type: MessageType, message: unknown): Uint8Array {
    try {
      const payload = (type as StreamingType).encode(message, this.writer).finish();
      if (payload.length > keptBytes) this.writer = new BinaryWriter();
      return payload;
    } catch (error) {
      // What was written so far must not begin the next message.
      this.writer = new BinaryWriter();
      throw error;
    }
  }

  private read(type: MessageType, bytes: Uint8Array, start: number, end: number): unknown {
    if (!this.readsInPlace(type)) return type.decode(bytes.subarray(start, end));
    if (this.chunk !== bytes) {
      this.reader = new BinaryReader(bytes);
      this.chunk = bytes;
    }
    const { reader } = this;
    reader.pos = start;
    // The end of this message, so that none reads into the next.
    (reader as { len: number }).len = end;
    try {
      return (type as StreamingType).decode(reader, end - start);
    } catch (error) {
      this.chunk = undefined;
      throw error;
    }
  }

  /** Whether the type takes a reader: another codec, or another copy of the library, only takes bytes. */
  private readsInPlace(type: MessageType): boolean {
    let known = this.takesReader.get(type);
    if (known === undefined) {
      try {
        const reader = new BinaryReader(Uint8Array.of(0xff, 0xff));
        reader.pos = 1;
        (reader as { len: number }).len = 1;
        known = (type as StreamingType).decode(reader, 0) !== undefined && reader.pos === 1;
      } catch {
        known = false;
      }
      this.takesReader.set(type, known);
    }
    return known;
  }
}
