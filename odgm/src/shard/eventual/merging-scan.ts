import { isOaasError } from '@oaas/commons/errors';
import { decodeHeader, decodeLeaf, encodeRegister } from '../../merge/index.ts';
import type { StorageReader } from '../../storage/index.ts';
import { rootOf } from '../content-hash.ts';
import { ContentScan, damagedKey } from '../content-scan.ts';
import type { Value } from '../model.ts';
import {
  after,
  bufferOf,
  decodeMeta,
  decodeValue,
  entryKey,
  entryOf,
  hasEntries,
  headLength,
  metaKey,
  type ShardLocation,
} from '../records.ts';
import { digestOf, hashOf, hashOfPageKey, kindOfKey, mergingRange, ofTreeKey } from './records.ts';

/** Damaged entries that are named; more are counted only. */
const badMax = 100;

/**
 * Reads all that a replica which merges has stored, from a state that does not change, piece by piece: objects and
 * entries as a {@link ContentScan} does, then what they come from. Each entry must be what its leaf says, each page what
 * its address says. Goes on behind damaged records.
 */
export class MergingScan {
  readonly content: ContentScan;
  readonly #reader: StorageReader;
  readonly #location: ShardLocation;
  readonly #end: Uint8Array;
  #next: Uint8Array;
  #readBytes = 0;
  #hasContent = false;
  #isDone = false;
  #problem: string | undefined;
  /** `object` or `object/key`. */
  readonly #bad = new Set<string>();
  #badEntries = 0;
  #badRecords = 0;

  constructor(reader: StorageReader, location: ShardLocation) {
    const { start, end } = mergingRange(location);
    this.content = new ContentScan(reader, location);
    this.#reader = reader;
    this.#location = location;
    this.#next = start;
    this.#end = end;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Bytes of keys and values read so far. */
  get readBytes(): number {
    return this.content.readBytes + this.#readBytes;
  }

  /** Objects and entries that cannot be read or are not what they should be; at most 100. */
  get bad(): readonly string[] {
    return [...this.#bad].filter((name) => name !== '');
  }

  /** What is wrong, in a few sentences. Good once done. */
  get damage(): readonly string[] {
    const found: string[] = [];
    if (this.#badEntries > 0) {
      found.push(`${String(this.#badEntries)} stored values cannot be read (${this.bad[0] ?? 'not of an object'})`);
    }
    if (this.#badRecords > 0) found.push(`${String(this.#badRecords)} records of the tree cannot be read`);
    if (this.#problem !== undefined) found.push(this.#problem);
    if (found.length > 0) return found;
    const { stored, content, problem } = this.content;
    if (stored !== undefined && rootOf(stored) !== rootOf(content)) {
      return [`what is stored has the root ${rootOf(content)}, what was written ${rootOf(stored)}`];
    }
    return problem === undefined ? [] : [problem];
  }

  /** Reads on until it has seen about this many bytes, or the end. */
  read(maxBytes: number): void {
    if (!this.#hasContent) {
      this.#readContent(maxBytes);
      return;
    }
    const until = this.#readBytes + maxBytes;
    while (!this.#isDone && this.#readBytes < until) {
      try {
        this.#readSome(until);
      } catch (error) {
        this.#skip(error);
      }
    }
  }

  #readContent(maxBytes: number): void {
    this.content.read(maxBytes);
    const { isDone, bad, badCount, isReadable, problem } = this.content;
    if (!isDone) return;
    this.#hasContent = true;
    for (const { objectId, key } of bad) this.#bad.add(nameOf(objectId, key));
    this.#badEntries = badCount;
    if (isReadable) return;
    this.#problem = problem;
    this.#isDone = true;
  }

  #readSome(until: number): void {
    for (const { key, value } of this.#reader.range({ start: this.#next, end: this.#end })) {
      this.#next = after(key);
      this.#readBytes += key.length + value.length;
      this.#take(key, value);
      if (this.#readBytes >= until) return;
    }
    this.#isDone = true;
  }

  /** Behind a record whose checksum fails; nothing can be skipped when the storage itself gives up. */
  #skip(error: unknown): void {
    const key = damagedKey(error);
    if (key === undefined) {
      this.#problem = error instanceof Error ? error.message : String(error);
      this.#isDone = true;
      return;
    }
    this.#next = after(key);
    this.#readBytes += key.length;
    this.#note(key);
  }

  #note(key: Uint8Array): void {
    const kind = kindOfKey(key);
    if (kind !== 'header' && kind !== 'leaf') {
      this.#badRecords += 1;
      return;
    }
    const { id, key: entry = '' } = ofTreeKey(bufferOf(key).toString('latin1', headLength));
    // One that is known to be damaged is not counted twice.
    if (this.#bad.has(id) || this.#bad.has(nameOf(id, entry))) return;
    this.#badEntries += 1;
    if (this.#bad.size < badMax) this.#bad.add(nameOf(id, entry));
  }

  #take(key: Uint8Array, value: Uint8Array): void {
    if (!this.#isGood(key, value)) this.#note(key);
  }

  #isGood(key: Uint8Array, value: Uint8Array): boolean {
    const kind = kindOfKey(key);
    if (kind === 'page') return bufferOf(hashOf(value)).toString('hex') === hashOfPageKey(key);
    if (kind !== 'header' && kind !== 'leaf') return true;
    try {
      if (kind === 'header') decodeHeader(value);
      return kind === 'header' || this.#isAsItsLeafSays(key, value);
    } catch (error) {
      if (!isOaasError(error, 'StorageCorrupt') && !isOaasError(error, 'DataLoss')) throw error;
      return false;
    }
  }

  #isAsItsLeafSays(leafKey: Uint8Array, bytes: Uint8Array): boolean {
    const leaf = decodeLeaf(bytes);
    if (leaf.kind === 'tombstone') return true;
    const { id, key = '' } = ofTreeKey(bufferOf(leafKey).toString('latin1', headLength));
    const value = storedValue(this.#reader, this.#location, id, key);
    if (value === undefined) return false;
    this.#readBytes += value.data.length;
    const register = { stamp: leaf.stamp, type: value.type, value: value.data, expiresAt: value.expiresAt };
    return Buffer.compare(digestOf(encodeRegister(register)), leaf.digest) === 0;
  }
}

function nameOf(id: string, key: string): string {
  return key === '' ? id : `${id}/${key}`;
}

/** The value of an entry as it is stored. */
export function storedValue(
  storage: StorageReader,
  location: ShardLocation,
  id: string,
  key: string,
): Value | undefined {
  const record = storage.get(metaKey(location, id));
  if (record === undefined) return undefined;
  decodeMeta(record);
  if (hasEntries(record)) return entryOf(record, key);
  const stored = storage.get(entryKey(location, id, key));
  return stored === undefined ? undefined : decodeValue(stored);
}
