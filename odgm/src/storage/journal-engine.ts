import type { Logger } from '@oaas/commons/telemetry';
import type { Timers } from '@oaas/commons/time';
import { oaasError, toOaasError } from '@oaas/commons/errors';
import type { Base } from './base.ts';
import { copyOf, textOf } from './bytes.ts';
import { readState } from './checkpoint.ts';
import { Checkpoints } from './checkpoints.ts';
import type { Engine, LogEntry, LogWrite } from './engine.ts';
import { EntryCache } from './entry-cache.ts';
import { corruptAt } from './failures.ts';
import type { FileSystem } from './file-system.ts';
import { Log, type Run } from './group-log.ts';
import type { FrameBuilder } from './journal/frame-builder.ts';
import { readRun } from './journal/frame-reader.ts';
import { Journal } from './journal/journal.ts';
import { scrubSegments } from './journal/scrub.ts';
import { type Segment, Segments } from './journal/segments.ts';
import { checkGroup, checkOperations, checkWrites } from './log-checks.ts';
import { Memtables } from './memtables.ts';
import { LogChange, PendingAppend, PendingWrite, type StoredSpan } from './pending.ts';
import type { WriteOperation } from './port.ts';
import { readerOf } from './reader.ts';
import { recover } from './recovery.ts';
import { Retention, type RetentionHint } from './retention.ts';
import { scrub } from './scrub.ts';

export interface JournalEngineOptions {
  /** The directory of the journal. */
  readonly files: FileSystem;
  readonly base: Base;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Bytes of a journal segment. Default 32 MiB. */
  readonly segmentBytes?: number | undefined;
  /** Journal above this: owners of old entries are asked to compact, small logs are moved. Default 128 MiB. */
  readonly retentionBytes?: number | undefined;
  /** Log entries kept in memory, bytes of data. Default 64 MiB. */
  readonly cacheBytes?: number | undefined;
  /** Changes that are not in the base: with more in memory, writes wait. Default 64 MiB. */
  readonly memtableBytes?: number | undefined;
  /**
   * Changes go to the base when there are this many bytes, keys, or milliseconds, or the journal has gone on to another
   * segment and filled it. Default 16 MiB, 32,768, 10,000 ms: each time the disk is busy for some milliseconds, in which
   * writes wait; what is not there yet is read from the journal at the next start.
   */
  readonly flushBytes?: number | undefined;
  readonly flushKeys?: number | undefined;
  readonly flushAgeMs?: number | undefined;
  /** A journal without writes for this long is sealed: damage to the last one is told from a torn write. Default 50 ms. */
  readonly sealAfterMs?: number | undefined;
  /** Bytes that may wait for the disk; more is refused with `ResourceExhausted`. Default 256 MiB. */
  readonly maxWaitingBytes?: number | undefined;
  /** Lets the event loop turn between pieces of longer work. Default: one turn. */
  readonly turn?: (() => Promise<void>) | undefined;
  /** Told about every damaged value or entry, when it is read. That read fails, nothing else. */
  readonly onCorruption?: ((error: Error) => void) | undefined;
  /** Told once when the engine takes no more writes. */
  readonly onFailure?: ((error: Error) => void) | undefined;
  /** Told after a checkpoint, while the journal has more than `retentionBytes`. */
  readonly onRetention?: ((hints: readonly RetentionHint[]) => void) | undefined;
}

const mebibyte = 1024 * 1024;

/**
 * The durable engine: a write-ahead journal, memtables, and a base that they are brought into in the background.
 * Rejects with `StorageCorrupt` when what is stored cannot be used.
 */
export async function openJournalEngine(options: JournalEngineOptions): Promise<Engine> {
  const engine = new JournalEngine(options);
  await engine.open();
  return engine;
}

class JournalEngine implements Engine {
  readonly isDurable = true;
  readonly #options: JournalEngineOptions;
  readonly #turn: () => Promise<void>;
  readonly #segments: Segments;
  readonly #retention: Retention;
  readonly #memtables: Memtables;
  readonly #cache: EntryCache;
  readonly #logs = new Map<number, Log>();
  readonly #checkpoints: Checkpoints;
  #journal: Journal | undefined;
  #closing: Promise<void> | undefined;
  readonly #reader = readerOf(() => {
    this.#assertOpen();
    return { layers: this.#memtables.layers, base: this.#options.base, corrupt: this.#corrupt };
  });

  constructor(options: JournalEngineOptions) {
    this.#options = options;
    this.#turn = options.turn ?? turnOfTheLoop;
    const { files, logger, base, timers } = options;
    this.#segments = new Segments({ files, logger, segmentBytes: options.segmentBytes ?? 32 * mebibyte });
    this.#retention = new Retention({
      segments: this.#segments.list,
      logs: this.#logs,
      bytes: options.retentionBytes ?? 128 * mebibyte,
      onHints: (hints) => options.onRetention?.(hints),
      append: (write) => this.#append([write], [], true),
      logger,
    });
    this.#checkpoints = new Checkpoints({
      segments: this.#segments,
      logs: this.#logs,
      journal: () => this.#journal,
      cleared: () => {
        if (this.#closing === undefined) this.#retention.look();
      },
      logger,
    });
    this.#cache = new EntryCache(options.cacheBytes ?? 64 * mebibyte);
    this.#memtables = new Memtables({
      base,
      timers,
      maxBytes: options.memtableBytes ?? 64 * mebibyte,
      flushBytes: options.flushBytes ?? 16 * mebibyte,
      flushKeys: options.flushKeys ?? 32_768,
      maxAgeMs: options.flushAgeMs ?? 10_000,
      hasGrown: () => this.#checkpoints.hasGrown,
      turn: this.#turn,
      hasNews: () => this.#checkpoints.hasNews,
      capture: () => this.#checkpoints.capture(),
      failed: (error) => this.#journal?.fail(error),
    });
  }

  async open(): Promise<void> {
    const { base, files, logger } = this.#options;
    const state = readState(base.meta());
    if (state.foreignFormat !== undefined) throw foreign(files.path, state.foreignFormat);
    const target = {
      log: (group: number) => this.#logOf(group),
      logs: () => this.#logs.values(),
      drop: (group: number) => {
        this.#forget(group);
      },
      set: (key: string, value: Uint8Array | undefined) => {
        this.#memtables.set(key, value);
      },
    };
    const { sequence, lastWrite, frames, newest } = await recover(this.#segments, state, target, logger);
    for (const log of this.#logs.values()) {
      log.expectStored();
      this.#checkpoints.changed(log);
    }
    const first = await this.#segments.place(0, sequence + 1);
    this.#checkpoints.opened(state, first.id);
    // The last frame of a process that was killed may be in the system's memory only, and after a flush that failed the
    // system takes it for written: only what is written again is sure (Rebello et al., "Can Applications Recover from fsync
    // Failures?", 2020). The frames before it were on disk before it began.
    await newest?.segment.file.writeDurably([newest.bytes], newest.position);
    await files.syncNames();
    this.#journal = new Journal({
      segments: this.#segments,
      path: files.path,
      sequence,
      lastWrite,
      timers: this.#options.timers,
      sealAfterMs: this.#options.sealAfterMs ?? 50,
      vouchedFor: () => this.#checkpoints.stored,
      maxWaitingBytes: this.#options.maxWaitingBytes ?? 256 * mebibyte,
      room: () => this.#memtables.room(),
      turn: this.#turn,
      landed: () => {
        this.#memtables.changed();
      },
      failed: (error) => {
        logger.error({ err: error }, 'the storage failed and takes no more writes');
        this.#options.onFailure?.(error);
      },
    });
    this.#memtables.changed();
    logger.info({ path: files.path, frames, groups: this.#logs.size }, 'the storage is open');
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#reader.get(key);
  }

  range(query: Parameters<Engine['range']>[0]): ReturnType<Engine['range']> {
    return this.#reader.range(query);
  }

  snapshot(): ReturnType<Engine['snapshot']> {
    this.#assertOpen();
    const layers = this.#memtables.pin();
    const base = this.#options.base.snapshot();
    const view = { layers, base, corrupt: this.#corrupt };
    let isClosed = false;
    return {
      ...readerOf(() => view),
      close: () => {
        if (isClosed) return;
        isClosed = true;
        this.#memtables.unpin(layers);
        base.close();
      },
    };
  }

  usage(): ReturnType<Engine['usage']> {
    this.#assertOpen();
    const { entries, bytes } = this.#options.base.usage();
    return { entries, bytes: bytes + this.#segments.bytes };
  }

  write(operations: readonly WriteOperation[]): Promise<void> {
    if (operations.length === 0) return this.#nothing();
    return new Promise((resolve, reject) => {
      try {
        checkOperations(operations);
        const journal = this.#writable();
        const frame = journal.begin(bytesOfAll(operations));
        journal.add(this.#encoded(operations, frame, resolve, reject));
      } catch (error) {
        reject(toOaasError(error));
      }
    });
  }

  apply(operations: readonly WriteOperation[]): void {
    this.#writable();
    checkOperations(operations);
    for (const operation of operations) {
      this.#memtables.set(textOf(operation.key), operation.type === 'put' ? operation.value : undefined);
    }
    this.#memtables.changed();
  }

  log(group: number): Log {
    checkGroup(group);
    return this.#logOf(group);
  }

  groups(): number[] {
    const stored = [...this.#logs.values()].filter((log) => log.isStored);
    return stored.map(({ group }) => group).sort((a, b) => a - b);
  }

  append(writes: readonly LogWrite[], operations: readonly WriteOperation[] = []): Promise<void> {
    if (writes.length === 0) return this.write(operations);
    return this.#append(writes, operations, false);
  }

  compact(group: number, index: number): void {
    this.#writable();
    const log = this.#logs.get(group);
    if (log?.compact(index) !== true) return;
    this.#checkpoints.compacted(log);
    this.#memtables.changed();
  }

  dropGroup(group: number): Promise<void> {
    return new Promise((resolve, reject) => {
      try {
        checkGroup(group);
        const journal = this.#writable();
        const log = this.#logOf(group);
        journal.begin(0).drop(group);
        log.expectedFirst = 1;
        log.expectedLast = 0;
        log.waiting += 1;
        journal.add({
          land: () => {
            log.waiting -= 1;
            this.#forget(group);
            this.#checkpoints.dropped(group);
          },
          cancel: () => {
            log.cancelled();
          },
          resolve,
          reject,
        });
      } catch (error) {
        reject(toOaasError(error));
      }
    });
  }

  async checkpoint(): Promise<void> {
    this.#writable();
    await this.#memtables.checkpoint();
    const failure = this.#journal?.failure;
    if (failure !== undefined) throw failure;
  }

  scrub(query: Parameters<Engine['scrub']>[0]): ReturnType<Engine['scrub']> {
    this.#assertOpen();
    return scrub(this.#options.base, query);
  }

  scrubJournal(...[from, maxBytes]: Parameters<Engine['scrubJournal']>): ReturnType<Engine['scrubJournal']> {
    this.#assertOpen();
    const found = scrubSegments(this.#segments.list, from ?? { segment: 0, position: 0 }, maxBytes);
    const bad = found.bad.map(({ segment, start, end }) => {
      const groups = [...this.#logs.values()].filter((log) => hasPartIn(log, segment, start, end));
      this.#retire(segment);
      return {
        file: this.#segments.pathOf(segment.name),
        offset: start,
        groups: groups.map(({ group }) => group),
      };
    });
    return { bytes: found.bytes, bad, next: found.next };
  }

  status(): ReturnType<Engine['status']> {
    return {
      groups: this.#logs.size,
      memtableBytes: this.#memtables.bytes,
      cachedLogBytes: this.#cache.bytes,
      journalBytes: this.#segments.bytes,
      journalSegments: this.#segments.list.length,
      frames: this.#journal?.frames ?? 0,
      checkpoints: this.#memtables.checkpoints,
    };
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const journal = this.#journal;
    await journal?.settled();
    try {
      if (journal?.failure === undefined) await this.#memtables.checkpoint();
    } catch (error) {
      // Nothing is lost: what is not in the base is in the journal, or in its owner's log.
      this.#options.logger.warn({ err: error }, 'the last checkpoint could not be written');
    }
    await this.#memtables.stop();
    await journal?.close();
    await this.#segments.close();
    await this.#options.base.close();
  }

  #append(writes: readonly LogWrite[], operations: readonly WriteOperation[], isMove: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      try {
        const journal = this.#writable();
        let bytes = bytesOfAll(operations);
        for (const { entries } of writes) for (const { data } of entries ?? []) bytes += data.length + 5;
        const frame = journal.begin(bytes);
        // After that: what builds on a call that was just refused for lack of space is refused for that, too.
        checkOperations(operations);
        checkWrites(writes, (group) => this.#logOf(group));
        // Both end up in one frame, which is there as a whole or not at all.
        if (operations.length > 0) journal.add(this.#encoded(operations, frame, nothing, nothing));
        const changes = writes.map((write) => new LogChange(this.#logOf(write.group), write, frame));
        journal.add(new PendingAppend(changes, isMove, this.#checkpoints.changed, resolve, reject));
      } catch (error) {
        reject(toOaasError(error));
      }
    });
  }

  /** The operations are in the frame; what is to be done when it is on disk. */
  #encoded(
    operations: readonly WriteOperation[],
    frame: FrameBuilder,
    resolve: () => void,
    reject: (error: Error) => void,
  ): PendingWrite {
    const keys: string[] = [];
    const values: (Uint8Array | undefined)[] = [];
    frame.beginOperations(operations.length);
    for (const operation of operations) {
      keys.push(textOf(operation.key));
      if (operation.type === 'put') {
        const value = copyOf(operation.value);
        values.push(value);
        frame.put(operation.key, value);
      } else {
        values.push(undefined);
        frame.remove(operation.key);
      }
    }
    return new PendingWrite(this.#memtables, keys, values, resolve, reject);
  }

  #logOf(group: number): Log {
    let log = this.#logs.get(group);
    if (log === undefined) this.#logs.set(group, (log = new Log(group, this.#runStore)));
    return log;
  }

  #forget(group: number): void {
    const log = this.#logs.get(group);
    if (log === undefined) return;
    log.clear();
    this.#checkpoints.forgotten(log);
    // Writes that wait may begin it anew.
    if (log.waiting === 0) this.#logs.delete(group);
  }

  readonly #runStore = {
    cached: (run: Run) => {
      this.#cache.cached(run);
    },
    released: (bytes: number) => {
      this.#cache.released(bytes);
    },
    read: (group: number, run: Run) => this.#readRun(group, run),
  };

  #readRun(group: number, run: Run): LogEntry[] {
    const stored = run.stored as StoredSpan | undefined;
    if (stored === undefined) return [];
    const record = Buffer.allocUnsafe(stored.length);
    const { file, name } = stored.segment;
    const isRead = file.readSync(record, stored.position) === record.length;
    const entries = isRead ? readRun(record, group, stored) : undefined;
    if (entries === undefined) {
      const why = `log entries of group ${String(group)}`;
      const error = corruptAt(this.#segments.pathOf(name), stored.position, why, group);
      this.#retire(stored.segment);
      this.#corrupt(error);
      throw error;
    }
    const skipped = run.first - (entries[0]?.index ?? run.first);
    return entries.slice(skipped, skipped + run.count);
  }

  /** Goes on in another segment, and sees to it that this one is soon not needed any more. */
  #retire(segment: Segment): void {
    if (segment.isRetired) return;
    segment.isRetired = true;
    this.#options.logger.error({ file: this.#segments.pathOf(segment.name) }, 'a journal segment is damaged');
    // The next write begins a new segment; the checkpoint after it says what the old one is still needed for.
    this.write([{ type: 'delete', key: retirementKey }])
      .then(() => this.checkpoint())
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'a damaged journal segment is still in use');
      });
  }

  readonly #corrupt = (error: Error): void => {
    this.#options.onCorruption?.(error);
  };

  #assertOpen(): void {
    if (this.#closing !== undefined) throw oaasError('Unavailable', 'the storage is closed');
  }

  #writable(): Journal {
    this.#assertOpen();
    if (this.#journal === undefined) throw oaasError('Unavailable', 'the storage is not open yet');
    if (this.#journal.failure !== undefined) throw this.#journal.failure;
    return this.#journal;
  }

  /** For a call that changes nothing. */
  // eslint-disable-next-line @typescript-eslint/require-await -- a throw must reject
  async #nothing(): Promise<void> {
    this.#writable();
  }
}

/** Nothing is stored under it. */
const retirementKey = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52]);

function hasPartIn(log: Log, segment: Segment, start: number, end: number): boolean {
  return log.runs().some((run) => {
    const stored = run.stored as StoredSpan | undefined;
    return stored?.segment === segment && stored.position >= start && stored.position < end;
  });
}

function bytesOfAll(operations: readonly WriteOperation[]): number {
  let bytes = 0;
  for (const operation of operations) {
    bytes += operation.key.length + (operation.type === 'put' ? operation.value.length : 0);
  }
  return bytes;
}

function nothing(): void {
  // The call that it belongs to answers.
}

function foreign(path: string, format: number): Error {
  return oaasError('FailedPrecondition', `the storage in ${path} has format ${String(format)}, which is not known`, {
    remedy: 'Run the version of the program that wrote it, or move the directory away.',
    details: { path, format },
  });
}

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
