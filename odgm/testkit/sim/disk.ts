import type { Random } from '@oaas/commons/time';
import type { Base } from '../../src/storage/base.ts';
import type { FileSystem, StorageFile } from '../../src/storage/file-system.ts';
import { SimulatedDisk } from '../disk.ts';
import type { SimProcess } from './node.ts';
import { SparseBytes } from './sparse-bytes.ts';
import type { SimWorld } from './world.ts';

/** What a disk does to what is written to it. Shares are 0..1. */
export interface DiskFaults {
  /** Time of one operation: at least `minMs`, on average `meanMs`, at most `maxMs`. A flush takes five times as long. */
  readonly delay: { readonly minMs: number; readonly meanMs: number; readonly maxMs: number };
  /**
   * What a crash leaves of the writes that were not flushed: `prefix` of them in their order, any `subset`, `nothing`, or
   * `any` of these, drawn for each crash. In the first two cases a write may be torn: some of its sectors are old.
   */
  readonly crashKeeps: 'prefix' | 'subset' | 'nothing' | 'any';
  /** Share of crashes with `prefix` or `subset` that tear a write. */
  readonly tears: number;
  /** Share of flushes that fail (EIO). What they should have flushed may then be on disk or not, and is not tried again. */
  readonly flushFailures: number;
  /** Share of flushes that succeed without doing anything: a disk that lies. Off in every run that demands durability. */
  readonly lostFlushes: number;
  /** Share of writes that fail (EIO). */
  readonly writeFailures: number;
  /** Bytes that all files together may have; a write over it fails (ENOSPC), perhaps after a part of it. */
  readonly capacityBytes: number;
}

export const healthyDisk: DiskFaults = {
  delay: { minMs: 0.01, meanMs: 0.05, maxMs: 2 },
  crashKeeps: 'any',
  tears: 0.9,
  flushFailures: 0,
  lostFlushes: 0,
  writeFailures: 0,
  capacityBytes: Number.POSITIVE_INFINITY,
};

/** A file whose writes can be left without a flush. */
export interface SimFile extends StorageFile {
  /** Lost by a crash, or half lost, until {@link datasync} has resolved. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>;
  /** Resolves when what was written before is on disk. */
  datasync(): Promise<void>;
}

export interface SimFiles extends FileSystem {
  open(name: string, how: 'existing' | 'new'): Promise<SimFile>;
}

/** What one process sees of a disk, as the storage engine takes it. */
export interface SimMount {
  readonly files: SimFiles;
  readonly base: Base;
}

/** A disk tears at boundaries of this many bytes. */
const sectorBytes = 512;

interface PendingWrite {
  readonly position: number;
  readonly bytes: Uint8Array;
}

interface Inode {
  /** What a reader sees. */
  seen: SparseBytes;
  /** What a crash leaves. */
  readonly durable: SparseBytes;
  /** Written since the last flush, in order. */
  pending: PendingWrite[];
  /** Writes that have not returned. No flush covers them, but a crash may find them on disk. */
  readonly inFlight: Set<PendingWrite>;
}

type NameChange =
  | { readonly type: 'set'; readonly name: string; readonly inode: Inode }
  | { readonly type: 'rename'; readonly from: string; readonly to: string }
  | { readonly type: 'remove'; readonly name: string };

/**
 * The disk of one node: it outlives the processes that use it, and forgets what it may when one of them crashes. Names of
 * files are as volatile as contents: those that were made, renamed or removed since the last `syncNames` may come back.
 */
export class SimDisk {
  faults: DiskFaults = healthyDisk;
  readonly path: string;
  private readonly world: SimWorld;
  private readonly random: Random;
  private names = new Map<string, Inode>();
  private durableNames = new Map<string, Inode>();
  private nameChanges: NameChange[] = [];
  private bases: SimulatedDisk;
  private process: SimProcess | undefined = undefined;

  constructor(world: SimWorld, id: string) {
    this.world = world;
    this.path = `/sim/${id}`;
    this.random = world.randomOf(`disk ${id}`);
    this.bases = this.newBase();
  }

  /** For one process. When it crashes, what it had not flushed is lost in part, and its calls never return. */
  mount(process: SimProcess): SimMount {
    this.process = process;
    process.onCrash(() => {
      this.crash();
    });
    return { files: new Mounted(this, process), base: this.bases.base() };
  }

  /** What a crash of the machine does. A process that is mounted crashes by its node. */
  crash(): void {
    const { random, faults } = this;
    this.bases.crash();
    const modes = ['prefix', 'subset', 'nothing'] as const;
    const mode = faults.crashKeeps === 'any' ? (modes[Math.floor(random.next() * 3)] ?? 'nothing') : faults.crashKeeps;
    const keptNames = mode === 'nothing' ? 0 : Math.floor(random.next() * (this.nameChanges.length + 1));
    const inodes = new Set([...this.durableNames.values(), ...this.names.values()]);
    for (const change of this.nameChanges.slice(0, keptNames)) applyChange(this.durableNames, change);
    this.nameChanges = [];
    this.names = new Map(this.durableNames);
    let kept = 0;
    let all = 0;
    for (const inode of inodes) {
      inode.pending.push(...inode.inFlight);
      inode.inFlight.clear();
      all += inode.pending.length;
      kept += this.crashInode(inode, mode);
    }
    this.world.trace.add(`${this.world.now.toFixed(3)} ${this.path} crash keeps ${kept}/${all} ${mode}`);
  }

  /** Flips a bit of what is stored; by default any bit of the file. */
  flipBit(name: string, position?: number): void {
    const inode = this.inodeOf(name);
    const at = position ?? Math.floor(this.random.next() * inode.seen.size);
    const bit = Math.floor(this.random.next() * 8);
    inode.seen.flipBit(at, bit);
    inode.durable.flipBit(at, bit);
    this.world.trace.add(`${this.world.now.toFixed(3)} ${this.path}/${name} flips ${at}.${bit}`);
  }

  /** Takes the files away. Only while no process has them. */
  wipe(): void {
    this.bases = this.newBase();
    this.names.clear();
    this.durableNames.clear();
    this.nameChanges = [];
  }

  /** Bytes of all files. */
  usedBytes(): number {
    let sum = 0;
    for (const { seen } of this.names.values()) sum += seen.size;
    return sum;
  }

  list(): { readonly name: string; readonly size: number }[] {
    return Array.from(this.names, ([name, { seen }]) => ({ name, size: seen.size })).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    );
  }

  inodeOf(name: string): Inode {
    const inode = this.names.get(name);
    if (inode === undefined) throw systemError('ENOENT', `no such file: ${this.path}/${name}`);
    return inode;
  }

  create(name: string): Inode {
    const inode: Inode = { seen: new SparseBytes(), durable: new SparseBytes(), pending: [], inFlight: new Set() };
    this.change({ type: 'set', name, inode });
    return inode;
  }

  rename(from: string, to: string): void {
    this.inodeOf(from);
    this.change({ type: 'rename', from, to });
  }

  remove(name: string): void {
    if (this.names.has(name)) this.change({ type: 'remove', name });
  }

  syncNames(): void {
    for (const change of this.nameChanges) applyChange(this.durableNames, change);
    this.nameChanges = [];
  }

  write(inode: Inode, { bytes, position }: PendingWrite): void {
    const { random, faults } = this;
    if (this.chance(faults.writeFailures)) throw systemError('EIO', `write to ${this.path} failed`);
    const grows = Math.max(0, position + bytes.length - inode.seen.size);
    if (grows === 0 || this.usedBytes() + grows <= faults.capacityBytes) {
      this.put(inode, { bytes, position });
      return;
    }
    // A write that does not fit may have begun: what does not make the file longer may be there.
    const fitting = Math.max(0, Math.min(bytes.length, inode.seen.size - position));
    this.put(inode, { bytes: bytes.subarray(0, Math.floor(random.next() * (fitting + 1))), position });
    throw systemError('ENOSPC', `no space left on ${this.path}`);
  }

  private put(inode: Inode, write: PendingWrite): void {
    if (write.bytes.length === 0) return;
    inode.seen.write(write.bytes, write.position);
    inode.pending.push(write);
  }

  /** Makes the writes durable that were there when the flush began. */
  flush(inode: Inode, writes: readonly PendingWrite[]): void {
    if (this.chance(this.faults.lostFlushes)) return;
    const fails = this.chance(this.faults.flushFailures);
    for (const { bytes, position } of writes) {
      if (!fails || this.random.next() < 0.5) inode.durable.write(bytes, position);
    }
    const flushed = new Set(writes);
    inode.pending = inode.pending.filter((write) => !flushed.has(write));
    if (fails) throw systemError('EIO', `flush of ${this.path} failed`);
  }

  /** @param weight how many times as long as a plain operation. */
  delayOf(weight: number): number {
    const { minMs, meanMs, maxMs } = this.faults.delay;
    const delay = minMs - Math.log(1 - this.random.next()) * Math.max(0, meanMs - minMs);
    return Math.min(maxMs, delay) * weight;
  }

  private newBase(): SimulatedDisk {
    return new SimulatedDisk({ random: this.world.randomOf(`base ${this.path}`), delay: () => this.beforeCommit() });
  }

  /** A commit of the base takes the time of a flush, and fails like one. */
  private beforeCommit(): Promise<void> {
    const { process, bases, faults } = this;
    return new Promise((resolve) => {
      process?.timers.after(this.delayOf(5), () => {
        bases.capacity = faults.capacityBytes - this.usedBytes();
        bases.failsFlushes = this.chance(faults.flushFailures);
        resolve();
      });
    });
  }

  private chance(share: number): boolean {
    return share > 0 && this.random.next() < share;
  }

  private change(change: NameChange): void {
    applyChange(this.names, change);
    this.nameChanges.push(change);
  }

  /** Returns how many writes were kept. */
  private crashInode(inode: Inode, mode: 'prefix' | 'subset' | 'nothing'): number {
    const { random, faults } = this;
    const { pending } = inode;
    inode.pending = [];
    const until = mode === 'prefix' ? Math.floor(random.next() * (pending.length + 1)) : pending.length;
    const kept =
      mode === 'nothing' ? [] : pending.slice(0, until).filter(() => mode === 'prefix' || random.next() < 0.5);
    for (const { bytes, position } of kept) inode.durable.write(bytes, position);
    const others = pending.filter((write) => !kept.includes(write));
    const torn = mode === 'prefix' ? pending[until] : others[Math.floor(random.next() * others.length)];
    if (mode !== 'nothing' && torn !== undefined && random.next() < faults.tears) this.tear(inode, torn);
    inode.seen = inode.durable.copy();
    return kept.length;
  }

  /** Half of the time a prefix of any length, else each sector by itself. */
  private tear(inode: Inode, { bytes, position }: PendingWrite): void {
    const { random } = this;
    if (random.next() < 0.5) {
      inode.durable.write(bytes.subarray(0, Math.floor(random.next() * bytes.length)), position);
      return;
    }
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + sectorBytes - ((position + at) % sectorBytes));
      if (random.next() < 0.5) inode.durable.write(bytes.subarray(at, end), position + at);
      at = end;
    }
  }
}

function applyChange(names: Map<string, Inode>, change: NameChange): void {
  switch (change.type) {
    case 'set':
      names.set(change.name, change.inode);
      break;
    case 'remove':
      names.delete(change.name);
      break;
    case 'rename': {
      const inode = names.get(change.from);
      if (inode === undefined) break;
      names.delete(change.from);
      names.set(change.to, inode);
    }
  }
}

/** The files as one process sees them. */
class Mounted implements SimFiles {
  readonly path: string;
  private readonly disk: SimDisk;
  private readonly process: SimProcess;

  constructor(disk: SimDisk, process: SimProcess) {
    this.disk = disk;
    this.process = process;
    this.path = disk.path;
  }

  list(): Promise<{ readonly name: string; readonly size: number }[]> {
    return this.later(1, () => this.disk.list());
  }

  open(name: string, how: 'existing' | 'new'): Promise<SimFile> {
    return this.later(1, () => this.fileOf(how === 'new' ? this.disk.create(name) : this.disk.inodeOf(name)));
  }

  rename(from: string, to: string): Promise<void> {
    return this.later(1, () => this.disk.rename(from, to));
  }

  remove(name: string): Promise<void> {
    return this.later(1, () => this.disk.remove(name));
  }

  syncNames(): Promise<void> {
    return this.later(5, () => this.disk.syncNames());
  }

  private fileOf(inode: Inode): SimFile {
    const { disk } = this;
    const write = (buffers: readonly Uint8Array[], position: number): Promise<void> => {
      // What is written is what was there at the call, for the caller may not change it before the end.
      const pending = { bytes: Uint8Array.from(Buffer.concat(buffers)), position };
      inode.inFlight.add(pending);
      return this.later(1, () => {
        inode.inFlight.delete(pending);
        disk.write(inode, pending);
      });
    };
    const datasync = (): Promise<void> => {
      const writes = [...inode.pending];
      return this.later(5, () => disk.flush(inode, writes));
    };
    return {
      write,
      datasync,
      writeDurably: async (buffers, position) => {
        await write(buffers, position);
        await datasync();
      },
      read: (target, position) => this.later(1, () => inode.seen.read(target, position)),
      readSync: (target, position) => inode.seen.read(target, position),
      size: () => this.later(1, () => inode.seen.size),
      close: () => this.later(1, () => undefined),
    };
  }

  /** Does it after the disk's time. For a process that is gone by then nothing happens, and the promise stays open. */
  private later<T>(weight: number, run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.process.timers.after(this.disk.delayOf(weight), () => {
        try {
          resolve(run());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
