import { DynamicTable, entryOverhead } from './dynamic-table.ts';
import type { FieldBlock } from './field-block.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';
import { staticCount, staticIndexOfField, staticIndexOfName } from './static-table.ts';

/** How a field is represented (RFC 7541 §6.2). */
export type Indexing = 'index' | 'literal' | 'never';

export interface HpackEncoderOptions {
  /** Most that this encoder uses of the table, whatever the peer allows. Default 4096. */
  readonly tableBytesMax?: number | undefined;
  /** Which fields enter the table. Default {@link defaultIndexing}. */
  readonly indexing?: ((name: string, value: string) => Indexing) | undefined;
}

/** Names whose values repeat from message to message, so that an entry pays. */
const repeating = new Set([
  ...[':authority', ':method', ':path', ':scheme', ':status', 'accept-encoding', 'content-type', 'te', 'user-agent'],
  ...['grpc-accept-encoding', 'grpc-encoding', 'grpc-status', 'server'],
]);
const credentials = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie']);

/** Indexes what repeats; credentials are never indexed; all else is a literal, so that it does not thrash the table. */
export function defaultIndexing(name: string): Indexing {
  if (repeating.has(name)) return 'index';
  return credentials.has(name) ? 'never' : 'literal';
}

/** Encoded blocks kept at most; more are encoded each time. */
const keptMax = 64;

/**
 * HPACK encoder (RFC 7541). The encoded form of a block that is `reused` and left the table alone is kept until the
 * table changes.
 */
export class HpackEncoder {
  readonly #table: DynamicTable;
  readonly #tableBytesMax: number;
  readonly #indexing: (name: string, value: string) => Indexing;
  /** Sequence number of the newest entry with this field or name. */
  readonly #byField = new Map<string, number>();
  readonly #byName = new Map<string, number>();
  readonly #kept = new Map<FieldBlock, Uint8Array>();
  #keptGeneration = 0;
  /** Table sizes still to be announced: the least since the last block, and the current one (§4.2). */
  #announceLeast = -1;
  #announce = -1;
  #buf = new Uint8Array(1024);
  #pos = 0;

  constructor(options: HpackEncoderOptions = {}) {
    this.#tableBytesMax = options.tableBytesMax ?? 4096;
    this.#indexing = options.indexing ?? defaultIndexing;
    this.#table = new DynamicTable(4096);
    this.#table.onEvict = (name, value, sequence) => {
      const key = `${name}\0${value}`;
      if (this.#byField.get(key) === sequence) this.#byField.delete(key);
      if (this.#byName.get(name) === sequence) this.#byName.delete(name);
    };
    if (this.#tableBytesMax < 4096) this.limitTable(4096);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. The next block announces what is made of it. */
  limitTable(peerMax: number): void {
    const size = Math.min(peerMax, this.#tableBytesMax);
    if (size === this.#table.maxSize) return;
    this.#table.resize(size);
    this.#announceLeast = this.#announceLeast < 0 ? size : Math.min(this.#announceLeast, size);
    this.#announce = size;
  }

  /** The encoded block. Valid until the next call. */
  encode(block: FieldBlock): Uint8Array {
    if (block.reused && this.#announce < 0) {
      if (this.#keptGeneration !== this.#table.generation) {
        this.#kept.clear();
        this.#keptGeneration = this.#table.generation;
      }
      const kept = this.#kept.get(block);
      if (kept !== undefined) return kept;
    }
    const announced = this.#announce >= 0;
    this.#pos = 0;
    if (announced) this.#announceSizes();
    const before = this.#table.generation;
    const { fields } = block;
    for (let i = 0; i < fields.length; i += 2) this.#field(block, fields[i] as string, fields[i + 1] as string);
    const encoded = this.#buf.subarray(0, this.#pos);
    const repeatable = !announced && before === this.#table.generation && this.#keptGeneration === before;
    if (!block.reused || !repeatable || this.#kept.size >= keptMax) return encoded;
    const copy = encoded.slice();
    this.#kept.set(block, copy);
    return copy;
  }

  #announceSizes(): void {
    if (this.#announceLeast < this.#announce) this.#integer(0x20, 5, this.#announceLeast);
    this.#integer(0x20, 5, this.#announce);
    this.#announceLeast = -1;
    this.#announce = -1;
  }

  #field(block: FieldBlock, name: string, value: string): void {
    const indexing = block.sensitive?.has(name) === true ? 'never' : this.#indexing(name, value);
    const key = `${name}\0${value}`;
    if (indexing !== 'never') {
      const known = staticIndexOfField(key);
      if (known > 0) {
        this.#integer(0x80, 7, known);
        return;
      }
      const sequence = this.#byField.get(key);
      if (sequence !== undefined) {
        this.#integer(0x80, 7, staticCount + this.#table.inserted - sequence);
        return;
      }
    }
    const nameIndex = this.#nameIndex(name);
    // An entry that takes more than a quarter of the table would cost more than it saves.
    const size = name.length + value.length + entryOverhead;
    if (indexing === 'index' && size <= this.#table.maxSize >> 2) {
      this.#integer(0x40, 6, nameIndex);
      if (this.#table.insert(name, value)) {
        this.#byField.set(key, this.#table.inserted - 1);
        this.#byName.set(name, this.#table.inserted - 1);
      }
    } else {
      this.#integer(indexing === 'never' ? 0x10 : 0x00, 4, nameIndex);
    }
    if (nameIndex === 0) this.#string(name);
    this.#string(value);
  }

  #nameIndex(name: string): number {
    const known = staticIndexOfName(name);
    if (known > 0) return known;
    const sequence = this.#byName.get(name);
    return sequence === undefined ? 0 : staticCount + this.#table.inserted - sequence;
  }

  #integer(first: number, prefixBits: number, value: number): void {
    this.#room(6);
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      this.#buf[this.#pos++] = first | value;
      return;
    }
    this.#buf[this.#pos++] = first | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) this.#buf[this.#pos++] = (rest & 0x7f) | 0x80;
    this.#buf[this.#pos++] = rest;
  }

  #string(text: string): void {
    const length = huffmanLength(text);
    if (length < text.length) {
      this.#integer(0x80, 7, length);
      this.#room(length);
      this.#pos = huffmanEncode(text, this.#buf, this.#pos);
      return;
    }
    this.#integer(0x00, 7, text.length);
    this.#room(text.length);
    for (let i = 0; i < text.length; i += 1) this.#buf[this.#pos++] = text.charCodeAt(i);
  }

  #room(length: number): void {
    if (this.#pos + length <= this.#buf.length) return;
    const larger = new Uint8Array(Math.max(this.#buf.length * 2, this.#pos + length));
    larger.set(this.#buf.subarray(0, this.#pos));
    this.#buf = larger;
  }
}
