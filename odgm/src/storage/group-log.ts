import { oaasError } from '@oaas/commons/errors';
import { type GroupLog, type HardState, type LogEntry, type LogPosition, noHardState, noPosition } from './engine.ts';

/** Consecutive entries of one term, written together. A run that is cut keeps its place in the journal. */
export interface Run {
  first: number;
  count: number;
  readonly term: number;
  /** Bytes of data. An estimate once the run was cut and is not in memory. */
  bytes: number;
  /** The entries, as long as memory has room for them. */
  entries: LogEntry[] | undefined;
  /** Where the journal has them; `undefined` for a log that is only in memory. */
  readonly stored: StoredRun | undefined;
}

export interface StoredRun {
  readonly segment: LiveCount;
  readonly position: number;
  readonly length: number;
  /** The frame's running checksum before and after the run. */
  readonly seed: number;
  readonly checksum: number;
}

/** How many runs of a journal segment are still part of a log. */
export interface LiveCount {
  runs: number;
}

/** What the logs of a node share: memory for recent entries, and the way to older ones. */
export interface RunStore {
  /** Entries of the run were put into memory. */
  cached(run: Run): void;
  /** `bytes` of entries in memory are no longer needed. */
  released(bytes: number): void;
  /** The entries of a run, from the journal. Throws `StorageCorrupt`. */
  read(group: number, run: Run): LogEntry[];
}

const nothing: Run[] = [];

/** The log of a group: positions of its entries, and the recent entries themselves. A few hundred bytes when idle. */
export class Log implements GroupLog {
  readonly group: number;
  readonly #store: RunStore;
  /** Ascending, without gaps. */
  #runs: Run[] = nothing;
  /** Runs before this one are gone. */
  #head = 0;
  #truncated: LogPosition = noPosition;
  #hardState: HardState = noHardState;
  #last = 0;
  #bytes = 0;
  /** First and last index once everything that waits to be written is there. */
  expectedFirst = 1;
  expectedLast = 0;
  /** Writes that wait. */
  waiting = 0;
  /** False for a log that was only asked for. */
  isStored = false;

  constructor(group: number, store: RunStore) {
    this.group = group;
    this.#store = store;
  }

  get firstIndex(): number {
    return this.#truncated.index + 1;
  }
  get lastIndex(): number {
    return this.#last;
  }
  get truncated(): LogPosition {
    return this.#truncated;
  }
  get hardState(): HardState {
    return this.#hardState;
  }
  get bytes(): number {
    return this.#bytes;
  }

  term(index: number): number | undefined {
    if (index === this.#truncated.index) return this.#truncated.term;
    if (index > this.#last || index < this.firstIndex) return undefined;
    return this.#runs[this.#runOf(index)]?.term;
  }

  entries(lo: number, hi: number, maxBytes: number): LogEntry[] {
    if (lo < this.firstIndex || hi < lo || hi > this.#last + 1) {
      throw new RangeError(
        `entries ${String(lo)}..${String(hi)} of group ${String(this.group)}, which has ${String(this.firstIndex)}..${String(this.#last)}`,
      );
    }
    const found: LogEntry[] = [];
    let left = maxBytes;
    let next = lo;
    for (let at = lo < hi ? this.#runOf(lo) : this.#runs.length; at < this.#runs.length; at++) {
      const run = this.#runs[at];
      if (run === undefined || run.first >= hi) break;
      const entries = run.entries ?? this.#store.read(this.group, run);
      for (let i = next - run.first; i < run.count && next < hi; i++) {
        const entry = entries[i];
        if (entry === undefined) break;
        left -= entry.data.length;
        if (left < 0 && found.length > 0) return found;
        found.push(entry);
        next += 1;
      }
    }
    return found;
  }

  /** Runs that are there, ascending. */
  runs(): Run[] {
    return this.#runs.slice(this.#head);
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /** The log becomes empty and goes on after `position`. */
  reset(position: LogPosition): void {
    this.#cutFrom(0);
    this.#truncated = position;
    this.#last = position.index;
  }

  /** Adds a run, in place of everything from its first index on. Throws `StorageCorrupt` when it leaves a gap. */
  add(run: Run): void {
    if (run.first > this.#last + 1 || run.first < this.firstIndex) {
      throw this.#gap(run.first);
    }
    if (run.first <= this.#last) this.#cutFrom(run.first);
    if (this.#runs === nothing) this.#runs = [];
    this.#runs.push(run);
    this.#last = run.first + run.count - 1;
    this.#bytes += run.bytes;
    if (run.stored !== undefined) run.stored.segment.runs += 1;
    if (run.entries !== undefined) this.#store.cached(run);
  }

  /** Forgets entries up to and with `index`; false when there is nothing to forget. */
  compact(index: number): boolean {
    const term = this.term(index);
    if (term === undefined || index <= this.#truncated.index) return false;
    this.#truncated = { index, term };
    this.expectedFirst = Math.max(this.expectedFirst, index + 1);
    while (this.#head < this.#runs.length) {
      const run = this.#runs[this.#head];
      if (run === undefined || run.first > index) break;
      const end = run.first + run.count - 1;
      if (end > index) {
        this.#narrow(run, index + 1, end);
        break;
      }
      this.#drop(run);
      this.#head += 1;
    }
    if (this.#head > 32 && this.#head * 2 > this.#runs.length) {
      this.#runs = this.#runs.slice(this.#head);
      this.#head = 0;
    }
    return true;
  }

  /** Makes the log what a checkpoint says of it. Throws `StorageCorrupt` when entries are missing. */
  restore(truncated: LogPosition, hardState: HardState, last: number): void {
    if (this.#last < truncated.index || last === truncated.index) this.reset(truncated);
    if (this.firstIndex > truncated.index + 1 || this.#last !== last) throw this.#gap(truncated.index + 1);
    this.compact(truncated.index);
    this.#truncated = truncated;
    this.#hardState = hardState;
  }

  /** Forgets everything but what waits to be written. */
  clear(): void {
    this.reset(noPosition);
    this.#hardState = noHardState;
    if (this.waiting === 0) this.expectStored();
    this.isStored = false;
  }

  /** A write that waited was given up, and so are all others. */
  cancelled(): void {
    this.waiting -= 1;
    this.expectStored();
  }

  /** Nothing waits. */
  expectStored(): void {
    this.expectedFirst = this.firstIndex;
    this.expectedLast = this.#last;
  }

  #gap(next: number): Error {
    return oaasError('StorageCorrupt', `the log of group ${String(this.group)} has a gap`, {
      remedy: 'Move the directory away and let the node be filled from its replicas.',
      details: { group: this.group, first: this.firstIndex, last: this.#last, next },
    });
  }

  #cutFrom(index: number): void {
    for (let run = this.#runs.at(-1); run !== undefined && this.#runs.length > this.#head; run = this.#runs.at(-1)) {
      if (run.first < index) {
        if (run.first + run.count > index) this.#narrow(run, run.first, index - 1);
        break;
      }
      this.#drop(run);
      this.#runs.pop();
    }
    if (this.#runs.length === this.#head) {
      this.#runs = nothing;
      this.#head = 0;
    }
    this.#last = Math.min(this.#last, index - 1);
  }

  #drop(run: Run): void {
    this.#bytes -= run.bytes;
    if (run.stored !== undefined) run.stored.segment.runs -= 1;
    if (run.entries !== undefined) this.#store.released(run.bytes);
    run.entries = undefined;
    run.count = 0;
  }

  /** Leaves of a run what lies in first..last. */
  #narrow(run: Run, first: number, last: number): void {
    const before = run.bytes;
    const kept = last - first + 1;
    if (run.entries === undefined) run.bytes = Math.round((before * kept) / run.count);
    else {
      run.entries = run.entries.slice(first - run.first, last - run.first + 1);
      run.bytes = run.entries.reduce((sum, { data }) => sum + data.length, 0);
      this.#store.released(before - run.bytes);
    }
    this.#bytes += run.bytes - before;
    run.first = first;
    run.count = kept;
  }

  /** Place of the run that holds an index. */
  #runOf(index: number): number {
    let low = this.#head;
    let high = this.#runs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const run = this.#runs[middle];
      if (run !== undefined && run.first <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
