import type { DataClient } from '../client/index.ts';
import { isOaasError, oaasError } from '../errors/index.ts';
import type { CallOptions } from '../grpc/index.ts';
import { backoffDelay, type BackoffOptions, type Random, sleep, type Timers } from '../time/index.ts';
import { decodeJson } from './payload.ts';
import type { Turns } from './turns.ts';

export interface GridObjectOptions {
  readonly client: DataClient;
  readonly classId: string;
  readonly objectId: string;
  /** Absent: the grid computes it from the object id. */
  readonly partition?: number | undefined;
  readonly call: CallOptions;
  readonly timers: Timers;
  readonly random: Random;
  /** Shared by all calls of the program. */
  readonly turns: Turns;
}

export interface ObjectContent {
  readonly version: number;
  readonly entries: ReadonlyMap<string, Uint8Array>;
}

/** Changes of one object that are made together. */
export interface ObjectChanges {
  /** Entries to write: bytes, text, or anything that JSON can say. */
  readonly set?: Readonly<Record<string, unknown>> | undefined;
  readonly delete?: readonly string[] | undefined;
  /** Compare-and-set: rejects with `VersionConflict` when the object is at another version; 0: it must not exist. */
  readonly expectedVersion?: number | undefined;
}

/** A change under way: reads see the object, writes are kept until the end. */
export interface ObjectDraft {
  get(key: string): Promise<Uint8Array | undefined>;
  getJson<T>(key: string): Promise<T | undefined>;
  set(key: string, value: Uint8Array | string): void;
  setJson(key: string, value: unknown): void;
  delete(key: string): void;
}

const updateAttempts = 64;
const updateBackoff: BackoffOptions = { baseMs: 2, maxMs: 250, factor: 2, jitter: 1 };

/** One object of the grid. Every method is one call; each rejects with OaasErrors. */
export class GridObject {
  readonly classId: string;
  readonly objectId: string;
  readonly #options: GridObjectOptions;
  readonly #call: CallOptions;

  constructor(options: GridObjectOptions) {
    this.classId = options.classId;
    this.objectId = options.objectId;
    this.#options = options;
    const metadata = options.partition === undefined ? { 'x-oaas-partition': 'auto' } : {};
    this.#call = { ...options.call, metadata: { ...options.call.metadata, ...metadata } };
  }

  /** The whole object, or `undefined` when it does not exist. */
  async read(): Promise<ObjectContent | undefined> {
    try {
      const { obj } = await this.#options.client.get(this.#address(), this.#call);
      const entries = Object.entries(obj?.entries ?? {}).map(([key, value]) => [key, value.data] as const);
      return { version: obj?.metadata?.version ?? 0, entries: new Map(entries) };
    } catch (error) {
      if (isOaasError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.#value(key)).value;
  }

  async getText(key: string): Promise<string | undefined> {
    const value = await this.get(key);
    return value === undefined ? undefined : Buffer.from(value).toString('utf8');
  }

  async getJson<T>(key: string): Promise<T | undefined> {
    const value = await this.get(key);
    return value === undefined ? undefined : parsed<T>(value, key);
  }

  /** Bytes are kept as they are, text as UTF-8. */
  set(key: string, value: Uint8Array | string): Promise<void> {
    return this.batch({ set: { [key]: value } });
  }

  setJson(key: string, value: unknown): Promise<void> {
    return this.batch({ set: { [key]: jsonBytes(value) } });
  }

  /** Removes one entry; one that is not there is no error. */
  delete(key: string): Promise<void> {
    return this.batch({ delete: [key] });
  }

  /** Removes the object with all its entries. */
  async deleteObject(): Promise<void> {
    await this.#options.client.delete(this.#address(), this.#call);
  }

  /** Entries whose key begins with `prefix`, in key order. Reads on in pages, each of one consistent state. */
  async *list(prefix = ''): AsyncGenerator<{ readonly key: string; readonly value: Uint8Array }> {
    let cursor: Buffer | undefined;
    do {
      const page = this.#options.client.listValues(
        { ...this.#address(), keyPrefix: prefix, limit: 0, ...(cursor === undefined ? {} : { cursor }) },
        this.#call,
      );
      cursor = undefined;
      for await (const { key, value, nextCursor } of page) {
        if (nextCursor !== undefined) cursor = nextCursor;
        yield { key, value: value?.data ?? new Uint8Array() };
      }
    } while (cursor !== undefined);
  }

  /** All changes or none, as one step of the object's version. Creates an object that is not there. */
  async batch(changes: ObjectChanges): Promise<void> {
    const values = Object.entries(changes.set ?? {}).map(([key, value]) => [key, { data: bytesOf(value) }] as const);
    await this.#options.client.batchSetValues(
      {
        ...this.#address(),
        values: Object.fromEntries(values),
        deleteKeys: [...(changes.delete ?? [])],
        ...(changes.expectedVersion === undefined ? {} : { expectedObjectVersion: changes.expectedVersion }),
      },
      this.#call,
    );
  }

  /**
   * Reads and writes without losing another's change: runs `change` again, on fresh reads, when the object changed
   * meanwhile (at most 64 times, then `VersionConflict`). `change` may run several times, so it does nothing but use
   * its draft. Nothing is written when it writes nothing or throws.
   *
   * Calls of this program that lost once go on one after the other: they would only make each other lose again.
   */
  async update<T>(change: (draft: ObjectDraft) => Promise<T> | T): Promise<T> {
    try {
      return await this.#attempt(change);
    } catch (error) {
      if (!isOaasError(error, 'VersionConflict')) throw error;
    }
    const { turns, call } = this.#options;
    return turns.run(`${this.classId}/${this.objectId}`, () => this.#insist(change), call.signal);
  }

  async #insist<T>(change: (draft: ObjectDraft) => Promise<T> | T): Promise<T> {
    const { timers, random, call } = this.#options;
    for (let attempt = 2; ; attempt++) {
      try {
        return await this.#attempt(change);
      } catch (error) {
        if (!isOaasError(error, 'VersionConflict') || attempt === updateAttempts) throw error;
        await sleep(timers, backoffDelay(attempt, updateBackoff, random), call.signal);
      }
    }
  }

  async #attempt<T>(change: (draft: ObjectDraft) => Promise<T> | T): Promise<T> {
    const draft = new Draft((key) => this.#value(key));
    const result = await change(draft);
    const changes = draft.changes();
    if (changes !== undefined) await this.batch(changes);
    return result;
  }

  async #value(key: string): Promise<{ readonly value?: Uint8Array | undefined; readonly version: number }> {
    const response = await this.#options.client.getValue({ ...this.#address(), key }, this.#call);
    return { value: response.value?.data, version: response.objectVersion ?? 0 };
  }

  #address(): { clsId: string; objectId: string; partitionId: number } {
    return { clsId: this.classId, objectId: this.objectId, partitionId: this.#options.partition ?? 0 };
  }
}

type ReadValue = (key: string) => Promise<{ readonly value?: Uint8Array | undefined; readonly version: number }>;

class Draft implements ObjectDraft {
  readonly #read: ReadValue;
  readonly #written = new Map<string, Buffer | undefined>();
  #version: number | undefined;

  constructor(read: ReadValue) {
    this.#read = read;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    if (this.#written.has(key)) return this.#written.get(key);
    const { value, version } = await this.#read(key);
    this.#version ??= version;
    if (version !== this.#version) throw oaasError('VersionConflict', 'the object changed between two reads');
    return value;
  }

  async getJson<T>(key: string): Promise<T | undefined> {
    const value = await this.get(key);
    return value === undefined ? undefined : parsed<T>(value, key);
  }

  set(key: string, value: Uint8Array | string): void {
    this.#written.set(key, bytesOf(value));
  }

  setJson(key: string, value: unknown): void {
    this.#written.set(key, jsonBytes(value));
  }

  delete(key: string): void {
    this.#written.set(key, undefined);
  }

  changes(): ObjectChanges | undefined {
    if (this.#written.size === 0) return undefined;
    const entries = [...this.#written];
    return {
      set: Object.fromEntries(entries.filter(([, value]) => value !== undefined)),
      delete: entries.filter(([, value]) => value === undefined).map(([key]) => key),
      expectedVersion: this.#version,
    };
  }
}

// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- only the author knows the type of JSON
function parsed<T>(bytes: Uint8Array, key: string): T {
  try {
    return decodeJson(bytes, `entry ${key}`) as T;
  } catch (error) {
    throw oaasError('DataLoss', `entry ${key} does not hold JSON`, { cause: error });
  }
}

function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function bytesOf(value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return typeof value === 'string' ? Buffer.from(value) : jsonBytes(value);
}
