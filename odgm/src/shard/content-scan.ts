import { isOaasError, oaasError } from '@oaas/commons/errors';
import type { StorageReader } from '../storage/index.ts';
import { contentBuckets, ContentHash, type ContentSum } from './content-hash.ts';
import type { ShardCounters, Value } from './model.ts';
import {
  after,
  decodeMeta,
  decodeTotals,
  decodeValue,
  eachEntry,
  expiringEntryOf,
  hasEntries,
  recordOfKey,
  recordRange,
  type ShardLocation,
} from './records.ts';

/** A stored value that cannot be read. `key` is empty where the record is of the object as a whole. */
export interface BadValue {
  readonly objectId: string;
  readonly key: string;
}

/** Damaged values that are named; more are counted only. */
const badMax = 100;
/** Objects whose hashes one pass lists. */
const listedMax = 4096;
const nothing = new Uint8Array(0);

/**
 * Reads all records of a shard from a state that does not change, piece by piece, and computes anew what the shard keeps
 * with each change. Goes on behind damaged values, which it names.
 */
export class ContentScan {
  readonly #reader: StorageReader;
  readonly #end: Uint8Array;
  #next: Uint8Array;
  readonly #hash = new ContentHash();
  readonly #sums = new Int32Array(2 * contentBuckets);
  /** Of entries that expire, less what the list of times says. */
  readonly #times = new ContentHash();
  readonly #listed: Map<string, ContentHash> | undefined;
  readonly #wanted: ReadonlySet<number> | undefined;
  #objects = 0;
  #entries = 0;
  #bytes = 0;
  #stored: ReturnType<typeof decodeTotals> | undefined;
  #problem: string | undefined;
  #isDone = false;
  readonly bad: BadValue[] = [];
  badCount = 0;
  /** There are more objects than {@link listed} has. */
  hasMore = false;
  /** Bytes of keys and values read so far. */
  readBytes = 0;

  /** `buckets`: also lists the hashes of objects in these, see {@link listed}. */
  constructor(reader: StorageReader, location: ShardLocation, buckets?: Iterable<number>) {
    const { start, end } = recordRange(location);
    this.#reader = reader;
    this.#next = start;
    this.#end = end;
    if (buckets === undefined) return;
    this.#wanted = new Set(buckets);
    this.#listed = new Map();
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get content(): ContentSum {
    return this.#hash.sum;
  }

  /** What the replica kept with each change; undefined where it kept none, or another version. Good once done. */
  get stored(): ContentSum | undefined {
    return this.#stored?.content;
  }

  /** Counted anew. */
  get counters(): ShardCounters {
    return { objects: this.#objects, entries: this.#entries, bytes: this.#bytes };
  }

  /** Hashes of the parts that objects fall into: two words each. Good once done. */
  get buckets(): Int32Array {
    return this.#sums;
  }

  /** Objects of the wanted buckets with their hashes, in the order of ids; the first 4,096. Good once done. */
  get listed(): ReadonlyMap<string, ContentSum> {
    return new Map([...(this.#listed ?? [])].map(([id, hash]) => [id, hash.sum]));
  }

  /** False when the storage itself gave up. */
  get isReadable(): boolean {
    return this.#problem === undefined;
  }

  /** Why the records do not fit together; undefined when they do. Good once done. */
  get problem(): string | undefined {
    if (this.#problem !== undefined || this.badCount > 0) return this.#problem;
    const { high, low } = this.#times.sum;
    if (high !== 0 || low !== 0) return 'the list of times does not fit the entries that expire';
    const { objects, entries, bytes } = this.#stored?.counters ?? { objects: 0, entries: 0, bytes: 0 };
    const isSame = objects === this.#objects && entries === this.#entries && bytes === this.#bytes;
    return isSame ? undefined : 'the stored counters do not fit the objects and entries';
  }

  /** Reads on until it has seen this many bytes, or the end. */
  read(maxBytes: number): void {
    const until = this.readBytes + maxBytes;
    while (!this.#isDone && this.readBytes < until) {
      try {
        this.#readSome(until);
      } catch (error) {
        this.#skip(error);
      }
    }
  }

  #readSome(until: number): void {
    for (const { key, value } of this.#reader.range({ start: this.#next, end: this.#end })) {
      this.#next = after(key);
      this.readBytes += key.length + value.length;
      try {
        this.#take(key, value);
      } catch (error) {
        if (!isOaasError(error, 'StorageCorrupt')) throw error;
        this.#note(key);
      }
      if (this.readBytes >= until) return;
    }
    this.#isDone = true;
  }

  /** Behind a value whose checksum fails; nothing can be skipped when the storage itself gives up. */
  #skip(error: unknown): void {
    const key = damagedKey(error);
    if (key === undefined) {
      this.#problem = error instanceof Error ? error.message : String(error);
      this.#isDone = true;
      return;
    }
    this.#next = after(key);
    this.readBytes += key.length;
    this.#note(key);
  }

  #note(key: Uint8Array): void {
    this.badCount += 1;
    const record = recordOfKey(key);
    if (this.bad.length < badMax) this.bad.push({ objectId: record?.objectId ?? '', key: record?.key ?? '' });
  }

  #take(storedKey: Uint8Array, stored: Uint8Array): void {
    const record = recordOfKey(storedKey);
    switch (record?.kind) {
      case 'totals':
        this.#stored = decodeTotals(stored);
        break;
      case 'meta':
        this.#object(record.objectId, stored);
        break;
      case 'entry':
        this.#entry(record.objectId, record.key, decodeValue(stored));
        break;
      case 'expiry': {
        const { objectId, key, expiresAt } = expiringEntryOf(storedKey);
        this.#times.object(objectId);
        this.#times.removeEntry(key, { data: nothing, type: 'bytes', expiresAt });
        break;
      }
      case undefined:
        this.#note(storedKey);
    }
  }

  #object(id: string, stored: Uint8Array): void {
    const meta = decodeMeta(stored);
    this.#within(id, (hash) => {
      hash.addMeta(meta);
    });
    this.#objects += 1;
    this.#bytes += id.length;
    if (!hasEntries(stored)) return;
    eachEntry(stored, (key, value) => {
      this.#entry(id, key, value);
      return true;
    });
  }

  #entry(id: string, key: string, value: Value): void {
    this.#within(id, (hash) => {
      hash.addEntry(key, value);
    });
    this.#entries += 1;
    this.#bytes += key.length + value.data.length;
    if (value.expiresAt === undefined) return;
    this.#times.object(id);
    this.#times.addEntry(key, { data: nothing, type: 'bytes', expiresAt: value.expiresAt });
  }

  /** Counts in the sum of all, in that of the object's bucket, and in that of the object itself where it is listed. */
  #within(id: string, add: (hash: ContentHash) => void): void {
    const hash = this.#hash;
    const before = hash.sum;
    hash.object(id);
    add(hash);
    const { bucket, sum } = hash;
    const at = 2 * bucket;
    this.#sums[at] = (this.#sums[at] ?? 0) + sum.high - before.high;
    this.#sums[at + 1] = (this.#sums[at + 1] ?? 0) + sum.low - before.low;
    if (this.#listed === undefined || this.#wanted?.has(bucket) !== true) return;
    let own = this.#listed.get(id);
    if (own === undefined) {
      if (this.#listed.size >= listedMax) {
        this.hasMore = true;
        return;
      }
      this.#listed.set(id, (own = new ContentHash()));
    }
    own.object(id);
    add(own);
  }
}

/** The hash of a shard's content, computed from its records in one go. Throws `StorageCorrupt`. */
export function contentOf(reader: StorageReader, location: ShardLocation): ContentSum {
  const scan = new ContentScan(reader, location);
  scan.read(Infinity);
  if (scan.badCount === 0 && scan.isReadable) return scan.content;
  throw oaasError('StorageCorrupt', 'the records of a shard cannot all be read', {
    remedy: 'Repair this replica from the others, or restore the directory from a backup.',
    details: { shard: location.shard, bad: scan.bad.map(({ objectId, key }) => `${objectId}/${key}`) },
  });
}

/** Of the record whose checksum fails; undefined for any other error. */
export function damagedKey(error: unknown): Buffer | undefined {
  const name = isOaasError(error, 'StorageCorrupt') ? error.details?.['key'] : undefined;
  return typeof name === 'string' ? Buffer.from(name, 'hex') : undefined;
}
