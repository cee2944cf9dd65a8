import type { Timer, Timers } from '@oaas/commons/time';
import type { Base, BaseChange } from './base.ts';
import { keyOf } from './bytes.ts';
import { isFull } from './failures.ts';
import type { Layer } from './reader.ts';
import { checksumLength, seal } from './values.ts';
import { latest, VersionedMap } from './versioned-map.ts';

export interface MemtableOptions {
  readonly base: Base;
  readonly timers: Timers;
  /** Changes of this age are brought into the base, in milliseconds. */
  readonly maxAgeMs: number;
  /** So are this many bytes, or keys: a commit holds up the event loop by about a microsecond for each key. */
  readonly flushBytes: number;
  readonly flushKeys: number;
  /** True when the journal has grown so much since the last checkpoint that its space is worth one. */
  readonly hasGrown: () => boolean;
  /** With more than this in memory, writes wait for the base. */
  readonly maxBytes: number;
  /** Lets the event loop turn. */
  readonly turn: () => Promise<void>;
  /** True when a checkpoint would say something new beside keys and values. */
  readonly hasNews: () => boolean;
  /** What a checkpoint says beside keys and values, as of now. Called when a memtable is closed. */
  readonly capture: () => Captured;
  readonly failed: (error: unknown) => void;
}

/** The state of the journal and the logs at one moment. */
export interface Captured {
  /** Encoded when its time has come. */
  readonly changes: () => BaseChange[];
  /** Called when the checkpoint is durable. */
  readonly done: () => Promise<void>;
}

/** A memtable that takes no more changes, on its way into the base. */
interface Frozen {
  readonly map: VersionedMap;
  readonly captured: Captured;
}

/** How long after a full disk the base is tried again, in milliseconds. A write that waits tries at once. */
const retryMs = 1000;
const chunkBytes = 256 * 1024;
/** Keys encoded between two turns of the event loop. */
const turnKeys = 1024;

/**
 * Changes that are not in the base yet: one memtable that takes them, and closed ones that are written into the base
 * one after the other, each in one commit with its checkpoint.
 */
export class Memtables {
  readonly #options: MemtableOptions;
  #active = new VersionedMap();
  /** Oldest first. */
  #frozen: Frozen[] = [];
  #flushing: Promise<void> | undefined;
  #isFlushing = false;
  #timer: Timer | undefined;
  /** Who waits for the next commit. */
  readonly #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #isStopped = false;
  /** Changes are old enough, but the base was busy. */
  #isDue = false;
  /** As the active one and then the closed ones, newest first. */
  #layers: Layer[] = [{ map: this.#active, pin: latest }];
  /** Commits of the base. */
  checkpoints = 0;

  constructor(options: MemtableOptions) {
    this.#options = options;
  }

  get layers(): readonly Layer[] {
    return this.#layers;
  }

  get bytes(): number {
    let bytes = this.#active.bytes;
    for (const { map } of this.#frozen) bytes += map.bytes;
    return bytes;
  }

  set(key: string, value: Uint8Array | undefined): void {
    this.#active.set(key, value);
  }

  /** Layers that do not change. To be released by {@link unpin}. */
  pin(): Layer[] {
    const [active, ...frozen] = this.#layers;
    return active === undefined ? frozen : [{ map: active.map, pin: active.map.pin() }, ...frozen];
  }

  unpin([active]: readonly Layer[]): void {
    active?.map.unpin(active.pin);
  }

  /** To be called after changes of keys, values or logs: sees to it that they reach the base in time. */
  changed(): void {
    const { flushBytes, flushKeys, hasGrown, maxAgeMs, timers } = this.#options;
    if (this.#active.bytes >= flushBytes || this.#active.size >= flushKeys || hasGrown()) this.#freeze();
    else {
      this.#timer ??= timers.after(maxAgeMs, () => {
        this.#timer = undefined;
        if (this.#isFlushing) this.#isDue = true;
        else this.#freeze();
      });
    }
  }

  /** `undefined` when there is room for more; else a promise of it. Rejects with `StorageFull`. */
  room(): Promise<void> | undefined {
    return this.bytes < this.#options.maxBytes ? undefined : this.#makeRoom();
  }

  /** Resolves when everything that is there now is in the base. Rejects with `StorageFull`. */
  async checkpoint(): Promise<void> {
    this.#freeze();
    await this.#flushed();
  }

  /** Starts nothing new, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#flushing;
  }

  async #makeRoom(): Promise<void> {
    if (this.#frozen.length === 0) this.#freeze();
    while (this.bytes >= this.#options.maxBytes && this.#frozen.length > 0 && !this.#isStopped) await this.#oneCommit();
  }

  async #flushed(): Promise<void> {
    const last = this.#frozen.at(-1);
    while (last !== undefined && this.#frozen.includes(last) && !this.#isStopped) await this.#oneCommit();
  }

  /** Resolves after the next commit. Rejects with `StorageFull` when it fails for that. */
  #oneCommit(): Promise<void> {
    const committed = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
    this.#start();
    return committed;
  }

  #answer(error?: Error): void {
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (error === undefined) resolve();
      else reject(error);
    }
  }

  #freeze(): void {
    if (this.#isStopped) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isDue = false;
    if (this.#active.size === 0 && !this.#options.hasNews()) return;
    this.#frozen.push({ map: this.#active, captured: this.#options.capture() });
    this.#active = new VersionedMap();
    this.#relayer();
    this.#start();
  }

  #relayer(): void {
    const frozen = this.#frozen.map(({ map }) => ({ map, pin: latest }));
    this.#layers = [{ map: this.#active, pin: latest }, ...frozen.reverse()];
  }

  #start(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#flushing = this.#flushAll();
  }

  async #flushAll(): Promise<void> {
    for (let next = this.#frozen[0]; next !== undefined; next = this.#frozen[0]) {
      try {
        const changes = await this.#encode(next.map);
        await this.#options.base.commit(changes, next.captured.changes());
      } catch (error) {
        this.#flushFailed(error);
        return;
      }
      this.checkpoints += 1;
      this.#frozen.shift();
      this.#relayer();
      this.#answer();
      await next.captured.done();
      if (this.#isDue) this.#freeze();
    }
    this.#isFlushing = false;
  }

  #flushFailed(error: unknown): void {
    this.#isFlushing = false;
    if (!isFull(error)) {
      this.#isStopped = true;
      this.#options.failed(error);
      this.#answer();
      return;
    }
    this.#answer(error as Error);
    this.#timer?.cancel();
    this.#timer = this.#options.timers.after(retryMs, () => {
      this.#timer = undefined;
      if (!this.#isStopped) this.#start();
    });
  }

  /** In the order of keys, which the base writes fastest. */
  async #encode(map: VersionedMap): Promise<BaseChange[]> {
    const changes: BaseChange[] = [];
    let chunk = Buffer.alloc(0);
    let used = 0;
    for (const { key: text, value } of map.between('', '\u0100')) {
      const key = keyOf(text);
      if (value === undefined) changes.push({ key, value: undefined });
      else {
        const length = value.length + checksumLength;
        if (used + length > chunk.length) {
          chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, length));
          used = 0;
        }
        seal(key, value, chunk, used);
        changes.push({ key, value: chunk.subarray(used, used + length) });
        used += length;
      }
      if (changes.length % turnKeys === 0) await this.#options.turn();
    }
    return changes;
  }
}
