import { Http2Error, http2Codes } from './codes.ts';
import { DynamicTable, entryOverhead } from './dynamic-table.ts';
import { FieldBlock } from './field-block.ts';
import { huffmanDecode } from './huffman.ts';
import { staticCount, staticTable } from './static-table.ts';

export interface HpackDecoderOptions {
  /** Most that the peer's encoder may use of the dynamic table, in bytes (SETTINGS_HEADER_TABLE_SIZE). It begins with 4096. */
  readonly tableBytesMax: number;
  /** Most that the fields of one block may count, with 32 each (SETTINGS_MAX_HEADER_LIST_SIZE). */
  readonly listBytesMax: number;
}

/** A block over `listBytesMax` is still read to its end, since it may change the table; but not past this multiple. */
const abuseFactor = 8;
/** Blocks kept with their bytes: as many, none longer. Each connection holds 16 KiB of bytes at most. */
const cacheSlots = 64;
const cachedBytesMax = 256;

interface Cached {
  readonly bytes: Uint8Array;
  readonly generation: number;
  readonly block: FieldBlock;
}

/**
 * HPACK decoder (RFC 7541). A block of which no field touches the table means the same as long as the table does not
 * change: it is kept by its bytes and costs one comparison the next time. Errors are COMPRESSION_ERROR and end the
 * connection; ENHANCE_YOUR_CALM for a block that unpacks to many times the bound.
 */
export class HpackDecoder {
  readonly #table: DynamicTable;
  #tableBytesMax: number;
  readonly #listBytesMax: number;
  readonly #cache = new Array<Cached | undefined>(cacheSlots).fill(undefined);
  #scratch = new Uint8Array(256);
  // The reading position is a field, so that the functions below can move it.
  #pos = 0;

  constructor(options: HpackDecoderOptions) {
    this.#tableBytesMax = options.tableBytesMax;
    this.#table = new DynamicTable(4096);
    this.#listBytesMax = options.listBytesMax;
  }

  /** The peer has acknowledged another SETTINGS_HEADER_TABLE_SIZE. A smaller one holds from its next block on. */
  limitTable(tableBytesMax: number): void {
    this.#tableBytesMax = tableBytesMax;
  }

  /** Reads `bytes[start, end)`, one whole block. `undefined` for a block whose fields count over `listBytesMax`. */
  decode(bytes: Uint8Array, start: number, end: number): FieldBlock | undefined {
    const length = end - start;
    if (length > cachedBytesMax) return this.#decode(bytes, start, end, -1);
    let hash = length;
    for (let i = start; i < end; i += 1) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
    const slot = (hash ^ (hash >>> 11)) & (cacheSlots - 1);
    const cached = this.#cache[slot];
    if (
      cached !== undefined &&
      cached.generation === this.#table.generation &&
      this.#table.maxSize <= this.#tableBytesMax &&
      sameBytes(cached.bytes, bytes, start, end)
    ) {
      return cached.block;
    }
    return this.#decode(bytes, start, end, slot);
  }

  #decode(bytes: Uint8Array, start: number, end: number, slot: number): FieldBlock | undefined {
    const table = this.#table;
    const fields: string[] = [];
    let sensitive: Set<string> | undefined;
    let size = 0;
    let plain = true;
    this.#pos = start;
    while (this.#pos < end) {
      const first = bytes[this.#pos] as number;
      if ((first & 0xe0) === 0x20) {
        if (fields.length > 0 || size > 0) throw compressionError('a table size update follows a field');
        this.#resize(this.#integer(bytes, end, 5));
        plain = false;
        continue;
      }
      if (table.maxSize > this.#tableBytesMax) throw compressionError('the table was not reduced as announced');
      let name: string;
      let value: string;
      if ((first & 0x80) !== 0) {
        const index = this.#integer(bytes, end, 7);
        name = this.#nameAt(index);
        value = index <= staticCount ? (staticTable[2 * index - 1] as string) : table.value(index - staticCount);
      } else {
        const indexing = (first & 0x40) !== 0;
        const index = this.#integer(bytes, end, indexing ? 6 : 4);
        name = index === 0 ? this.#string(bytes, end) : this.#nameAt(index);
        value = this.#string(bytes, end);
        if (indexing) {
          table.insert(name, value);
          plain = false;
        } else if ((first & 0x10) !== 0) {
          plain = false;
          sensitive ??= new Set();
          sensitive.add(name);
        }
      }
      size += name.length + value.length + entryOverhead;
      if (size <= this.#listBytesMax) fields.push(name, value);
      else if (size > this.#listBytesMax * abuseFactor) {
        throw new Http2Error(http2Codes.ENHANCE_YOUR_CALM, 'a header block unpacks to many times the bound');
      }
    }
    if (size > this.#listBytesMax) return undefined;
    const block = new FieldBlock(fields, sensitive === undefined ? {} : { sensitive });
    if (plain && slot >= 0) {
      this.#cache[slot] = { bytes: new Uint8Array(bytes.subarray(start, end)), generation: table.generation, block };
    }
    return block;
  }

  #resize(maxSize: number): void {
    if (maxSize > this.#tableBytesMax) throw compressionError('the table size update is over the bound');
    this.#table.resize(maxSize);
  }

  #nameAt(index: number): string {
    if (index === 0) throw compressionError('index 0 names no field');
    if (index <= staticCount) return staticTable[2 * (index - 1)] as string;
    if (index - staticCount > this.#table.count) throw compressionError('the index is past the end of the table');
    return this.#table.name(index - staticCount);
  }

  /** RFC 7541 §5.1. Over 2^28 is refused: no length or index here can be that large. */
  #integer(bytes: Uint8Array, end: number, prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (bytes[this.#pos++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#pos >= end) throw compressionError('the block ends inside an integer');
      const byte = bytes[this.#pos++] as number;
      value += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw compressionError('an integer is too large');
  }

  #string(bytes: Uint8Array, end: number): string {
    if (this.#pos >= end) throw compressionError('the block ends before a string');
    const huffman = ((bytes[this.#pos] as number) & 0x80) !== 0;
    const length = this.#integer(bytes, end, 7);
    const from = this.#pos;
    const to = from + length;
    if (to > end) throw compressionError('a string is longer than its block');
    this.#pos = to;
    if (!huffman) return latin1(bytes, from, to);
    if (this.#scratch.length < length * 2) this.#scratch = new Uint8Array(length * 2);
    const decoded = huffmanDecode(bytes, from, to, this.#scratch);
    if (decoded < 0) throw compressionError('a Huffman string is not valid');
    return latin1(this.#scratch, 0, decoded);
  }
}

function compressionError(message: string): Http2Error {
  return new Http2Error(http2Codes.COMPRESSION_ERROR, message);
}

function sameBytes(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i += 1) if (known[i] !== bytes[start + i]) return false;
  return true;
}

/** One character per octet. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  let at = start;
  // fromCharCode takes a bounded number of arguments.
  for (; end - at > 512; at += 512) text += String.fromCharCode(...bytes.subarray(at, at + 512));
  if (end - at > 24) return text + String.fromCharCode(...bytes.subarray(at, end));
  for (; at < end; at += 1) text += String.fromCharCode(bytes[at] as number);
  return text;
}
