import { oaasError } from '@oaas/commons/errors';
import type { Random } from '@oaas/commons/time';
import type { Base, BaseChange, BaseReader } from '../src/storage/base.ts';
import type { FileSystem, StorageFile } from '../src/storage/file-system.ts';
import type { RangeQuery, StoredEntry } from '../src/storage/port.ts';

/** Disks work in sectors: a torn write leaves each of them old or new. */
const sectorBytes = 512;

export interface SimulatedDiskOptions {
  readonly random: Random;
  /** Delay of each write and flush. Default: the next microtask. */
  readonly delay?: (() => Promise<void>) | undefined;
}

/**
 * A disk for simulations, with a directory of files (for the journal) and a base. What was not flushed may be lost, or
 * half lost, by a {@link crash}. Flushes can fail, space can end, bits can flip. Equal seeds give equal disks.
 */
export class SimulatedDisk {
  readonly #random: Random;
  readonly #delay: () => Promise<void>;
  #files = new Map<string, FileContent>();
  /** Names as they are on disk, and the changes of names since, in order. */
  #durableNames = new Map<string, FileContent>();
  #nameChanges: ((names: Map<string, FileContent>) => void)[] = [];
  #data = new Map<string, Buffer>();
  #meta = new Map<string, Buffer>();
  /** Grows with each crash: what was opened before is dead. */
  #life = 0;
  /** Bytes that files may have together. */
  capacity = Infinity;
  /** True: every flush fails, as a broken disk's does. What it was for reaches the disk only if it is written again. */
  failsFlushes = false;
  /** Flushes of files so far. */
  flushes = 0;

  constructor(options: SimulatedDiskOptions) {
    this.#random = options.random;
    this.#delay = options.delay ?? (() => Promise.resolve());
  }

  /** Power is lost: of what was not flushed a random part stays. Everything that is open stops for good. */
  crash(): void {
    this.#life += 1;
    const kept = Math.floor(this.#random.next() * (this.#nameChanges.length + 1));
    for (const change of this.#nameChanges.slice(0, kept)) change(this.#durableNames);
    this.#nameChanges = [];
    for (const file of new Set([...this.#durableNames.values(), ...this.#files.values()])) file.crash(this.#random);
    this.#files = new Map(this.#durableNames);
  }

  /** Flips a bit of a file, 0..7 of the byte at `offset`. A second time undoes it. */
  flipBit(name: string, offset: number, bit = 0): void {
    const file = this.#files.get(name);
    if (file === undefined) throw new RangeError(`there is no file ${name}`);
    file.flip(offset, bit);
  }

  /** Flips a bit of a value in the base, past its end if it is shorter. False when there is no such key. */
  flipBaseBit(key: Uint8Array, offset: number): boolean {
    const value = this.#data.get(textOf(key));
    if (value === undefined || value.length === 0) return false;
    const copy = Buffer.from(value);
    const at = offset % copy.length;
    copy[at] = (copy[at] ?? 0) ^ 1;
    this.#data.set(textOf(key), copy);
    return true;
  }

  names(): string[] {
    return [...this.#files.keys()].sort();
  }

  removeFile(name: string): void {
    this.#files.delete(name);
    this.#durableNames.delete(name);
  }

  get fileBytes(): number {
    let bytes = 0;
    for (const file of this.#files.values()) bytes += file.length;
    return bytes;
  }

  /** The journal's directory, for one life. */
  files(): FileSystem {
    const step = this.#stepOf(this.#life);
    const change = (apply: (names: Map<string, FileContent>) => void): void => {
      apply(this.#files);
      this.#nameChanges.push(apply);
    };
    return {
      path: '/simulated',
      list: () => step(() => [...this.#files].map(([name, { length }]) => ({ name, size: length }))),
      open: (name, how) =>
        step(() => {
          let file = this.#files.get(name);
          if (how === 'existing' && file === undefined) throw failure('ENOENT');
          if (file === undefined || how === 'new') {
            const made = new FileContent();
            file = made;
            change((names) => names.set(name, made));
          }
          return this.#handle(file, step);
        }),
      rename: (from, to) =>
        step(() => {
          const file = this.#files.get(from);
          if (file === undefined) throw failure('ENOENT');
          change((names) => {
            names.delete(from);
            names.set(to, file);
          });
        }),
      remove: (name) =>
        step(() => {
          change((names) => names.delete(name));
        }),
      syncNames: () =>
        step(() => {
          for (const apply of this.#nameChanges) apply(this.#durableNames);
          this.#nameChanges = [];
        }),
    };
  }

  /** The base, for one life. */
  base(): Base {
    const step = this.#stepOf(this.#life);
    return {
      ...readerOf(() => this.#data),
      meta: () => rangeOf(this.#meta, { start: Buffer.alloc(0), end: Buffer.alloc(64, 0xff) }),
      snapshot: () => {
        const frozen = this.#data;
        return { ...readerOf(() => frozen), close: () => undefined };
      },
      commit: (data, meta) =>
        step(() => {
          const [nextData, nextMeta] = [changed(this.#data, data), changed(this.#meta, meta)];
          if (this.failsFlushes) throw failure('EIO');
          if (this.fileBytes + bytesOf(nextData) > this.capacity) {
            throw oaasError('StorageFull', 'the simulated disk is full');
          }
          this.#data = nextData;
          this.#meta = nextMeta;
        }),
      usage: () => ({ entries: this.#data.size, bytes: bytesOf(this.#data) }),
      close: () => Promise.resolve(),
    };
  }

  /** Runs what a call does to the disk as one step, or never, when its life is over by then. */
  #stepOf(life: number): Step {
    return async (action) => {
      await this.#delay();
      if (life !== this.#life) return new Promise(() => undefined);
      return action();
    };
  }

  #handle(file: FileContent, step: Step): StorageFile {
    const write = (buffers: readonly Uint8Array[], position: number): Promise<void> =>
      step(() => {
        const bytes = Buffer.concat(buffers);
        const room = this.capacity - this.fileBytes;
        const grows = Math.max(0, position + bytes.length - file.length);
        if (grows <= room) {
          file.write(bytes, position);
          return;
        }
        // A full disk takes what it can, as a real one does.
        file.write(bytes.subarray(0, Math.max(0, bytes.length - (grows - Math.max(0, room)))), position);
        throw failure('ENOSPC');
      });
    const datasync = (): Promise<void> =>
      step(() => {
        if (this.failsFlushes) {
          file.forget();
          throw failure('EIO');
        }
        this.flushes += 1;
        file.flush();
      });
    return {
      writeDurably: async (buffers, position) => {
        await write(buffers, position);
        await datasync();
      },
      read: (target, position) => step(() => file.read(target, position)),
      readSync: (target, position) => file.read(target, position),
      size: () => step(() => file.length),
      close: () => Promise.resolve(),
    };
  }
}

type Step = <T>(action: () => T) => Promise<T>;

class FileContent {
  #content: Buffer = Buffer.alloc(0);
  #durable: Buffer = Buffer.alloc(0);
  #pending: { readonly position: number; readonly bytes: Buffer }[] = [];

  get length(): number {
    return this.#content.length;
  }

  write(bytes: Buffer, position: number): void {
    if (bytes.length === 0) return;
    this.#content = over(this.#content, bytes, position);
    this.#pending.push({ position, bytes: Buffer.from(bytes) });
  }

  flush(): void {
    for (const { position, bytes } of this.#pending) this.#durable = over(this.#durable, bytes, position);
    this.#pending = [];
  }

  /** As systems do after a flush that failed: what was to be written is taken for written, and is readable until a crash. */
  forget(): void {
    this.#pending = [];
  }

  read(target: Uint8Array, position: number): number {
    const bytes = this.#content.subarray(position, position + target.length);
    target.set(bytes);
    return bytes.length;
  }

  flip(offset: number, bit: number): void {
    for (const copy of [this.#content, this.#durable]) {
      if (offset < copy.length) copy[offset] = (copy[offset] ?? 0) ^ (1 << bit);
    }
  }

  /** Each sector of each pending write is there afterwards, or is not. Some writes stay whole, some go whole. */
  crash(random: Random): void {
    for (const { position, bytes } of this.#pending) {
      const fate = random.next();
      if (fate < 0.3) continue;
      if (fate < 0.5) {
        this.#durable = over(this.#durable, bytes, position);
        continue;
      }
      let at = 0;
      while (at < bytes.length) {
        const end = Math.min(bytes.length, at + sectorBytes - ((position + at) % sectorBytes));
        if (random.next() < 0.5) this.#durable = over(this.#durable, bytes.subarray(at, end), position + at);
        at = end;
      }
    }
    this.#pending = [];
    this.#content = Buffer.from(this.#durable);
  }
}

/** `content` with `bytes` at `position`. Changes `content` if it is long enough. */
function over(content: Buffer, bytes: Uint8Array, position: number): Buffer {
  let target = content;
  if (position + bytes.length > content.length) {
    target = Buffer.alloc(position + bytes.length);
    target.set(content);
  }
  target.set(bytes, position);
  return target;
}

function readerOf(data: () => Map<string, Buffer>): BaseReader {
  return {
    get: (key) => {
      const value = data().get(textOf(key));
      return value === undefined ? undefined : Buffer.from(value);
    },
    range: (query) => rangeOf(data(), query),
  };
}

function* rangeOf(data: Map<string, Buffer>, { start, end, limit = Infinity }: RangeQuery): Generator<StoredEntry> {
  const [from, to] = [textOf(start), textOf(end)];
  const keys = [...data.keys()].filter((key) => key >= from && key < to).sort();
  for (const key of keys.slice(0, limit)) {
    const value = data.get(key);
    if (value !== undefined) yield { key: Buffer.from(key, 'latin1'), value: Buffer.from(value) };
  }
}

function changed(data: Map<string, Buffer>, changes: readonly BaseChange[]): Map<string, Buffer> {
  const next = new Map(data);
  for (const { key, value } of changes) {
    if (value === undefined) next.delete(textOf(key));
    else next.set(textOf(key), Buffer.from(value));
  }
  return next;
}

function bytesOf(data: Map<string, Buffer>): number {
  let bytes = 0;
  for (const [key, value] of data) bytes += key.length + value.length;
  return bytes;
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}
