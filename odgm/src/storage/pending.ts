import type { LogEntry, LogWrite } from './engine.ts';
import type { Log, StoredRun } from './group-log.ts';
import type { FrameBuilder, Span } from './journal/frame-builder.ts';
import type { Pending } from './journal/journal.ts';
import type { Segment } from './journal/segments.ts';
import type { Memtables } from './memtables.ts';
import { runsOf } from './runs.ts';

/** Where a run of entries lies in the journal. */
export interface StoredSpan extends StoredRun {
  readonly segment: Segment;
}

/** Changes of keys that wait for their frame. */
export class PendingWrite implements Pending {
  readonly #memtables: Memtables;
  readonly #keys: readonly string[];
  readonly #values: readonly (Uint8Array | undefined)[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;

  constructor(
    memtables: Memtables,
    keys: readonly string[],
    values: readonly (Uint8Array | undefined)[],
    resolve: () => void,
    reject: (error: Error) => void,
  ) {
    this.#memtables = memtables;
    this.#keys = keys;
    this.#values = values;
    this.resolve = resolve;
    this.reject = reject;
  }

  land(): void {
    for (let i = 0; i < this.#keys.length; i++) this.#memtables.set(this.#keys[i] ?? '', this.#values[i]);
  }

  cancel(): void {
    // Nothing was changed yet.
  }
}

/** A change of one log, encoded, that waits for its frame. */
export class LogChange {
  readonly log: Log;
  readonly write: LogWrite;
  readonly #runs: { readonly entries: LogEntry[]; readonly span: Span }[] = [];

  constructor(log: Log, write: LogWrite, frame: FrameBuilder) {
    const { group, reset, hardState, entries } = write;
    this.log = log;
    this.write = write;
    if (reset !== undefined) frame.reset(group, reset);
    if (hardState !== undefined) frame.hardState(group, hardState);
    for (const run of runsOf(entries)) this.#runs.push({ entries: run, span: frame.run(group, run) });
    log.waiting += 1;
    if (reset !== undefined) log.expectedFirst = reset.index + 1;
    log.expectedLast = entries?.at(-1)?.index ?? reset?.index ?? log.expectedLast;
  }

  land(segment: Segment, position: number): void {
    const { log, write } = this;
    log.waiting -= 1;
    if (write.reset !== undefined) log.reset(write.reset);
    if (write.hardState !== undefined) log.setHardState(write.hardState);
    for (const { entries, span } of this.#runs) {
      const { index: first, term } = entries[0] ?? { index: 0, term: 0 };
      let bytes = 0;
      for (const { data } of entries) bytes += data.length;
      const { length, seed, checksum } = span;
      const stored: StoredSpan = { segment, position: position + span.position, length, seed, checksum };
      log.add({ first, count: entries.length, term, bytes, entries, stored });
    }
  }

  cancel(): void {
    this.log.cancelled();
  }
}

/** Changes of logs that wait for their frame. */
export class PendingAppend implements Pending {
  readonly #changes: readonly LogChange[];
  readonly #isMove: boolean;
  readonly #landed: (log: Log) => void;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;

  constructor(
    changes: readonly LogChange[],
    isMove: boolean,
    landed: (log: Log) => void,
    resolve: () => void,
    reject: (error: Error) => void,
  ) {
    this.#changes = changes;
    this.#isMove = isMove;
    this.#landed = landed;
    this.resolve = resolve;
    this.reject = reject;
  }

  land(segment: Segment, position: number): void {
    for (const change of this.#changes) {
      const { log } = change;
      const forgotten = log.truncated.index;
      change.land(segment, position);
      // A move gives the log as it was; what was forgotten meanwhile stays so.
      if (this.#isMove) log.compact(forgotten);
      this.#landed(log);
    }
  }

  cancel(): void {
    for (const change of this.#changes) change.cancel();
  }
}
