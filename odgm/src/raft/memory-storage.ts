import { oaasError } from '@oaas/commons/errors';
import { countWithin } from './size.ts';
import type { LogMiss, RaftStorage } from './storage.ts';
import { type ConfState, type Entry, type HardState, noBytes, type Snapshot } from './types.ts';

const emptySnapshot: Snapshot = {
  metadata: {
    index: 0,
    term: 0,
    confState: { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
  },
  data: noBytes,
};

/** A log in memory, for tests and simulations of the core. Nothing is bounded but by `compact`. */
export class MemoryStorage implements RaftStorage {
  #hardState: HardState = { term: 0, vote: 0, commit: 0 };
  #snapshot: Snapshot = emptySnapshot;
  /** The entry before `#entries[0]`: its index and term are kept when it is gone. */
  #compacted = { index: 0, term: 0 };
  #entries: Entry[] = [];

  initialState(): { hardState: HardState; confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState };
  }

  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] | LogMiss {
    if (lo < this.firstIndex()) return 'compacted';
    if (hi > this.lastIndex() + 1) return 'unavailable';
    const from = lo - this.firstIndex();
    return this.#entries.slice(from, from + countWithin(this.#entries, from, hi - this.firstIndex(), maxBytes));
  }

  term(index: number): number | LogMiss {
    if (index < this.#compacted.index) return 'compacted';
    if (index === this.#compacted.index) return this.#compacted.term;
    return this.#entries[index - this.firstIndex()]?.term ?? 'unavailable';
  }

  firstIndex(): number {
    return this.#compacted.index + 1;
  }

  lastIndex(): number {
    return this.#compacted.index + this.#entries.length;
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /** Replaces whatever is there from the first entry's index on. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const keep = first.index - this.firstIndex();
    if (keep > this.#entries.length) throw oaasError('Internal', 'the log would have a gap');
    if (keep < 0) {
      this.append(entries.slice(-keep));
      return;
    }
    this.#entries.length = keep;
    for (const entry of entries) this.#entries.push(entry);
  }

  /** Begins anew after the snapshot. False, and nothing is done, if it is not newer than the one that is there. */
  applySnapshot(snapshot: Snapshot): boolean {
    const { index, term } = snapshot.metadata;
    if (this.#snapshot.metadata.index !== 0 && this.#snapshot.metadata.index >= index) return false;
    this.#snapshot = snapshot;
    this.#compacted = { index, term };
    this.#entries = [];
    return true;
  }

  /** Keeps a snapshot of this log's own state: of the entry at `snapshot.metadata.index`. The log stays as it is. */
  saveSnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
  }

  /** Drops all entries up to `index`, which must be in the log. False, and nothing is done, if they are gone already. */
  compact(index: number): boolean {
    if (index <= this.#compacted.index) return false;
    const last = this.#entries[index - this.firstIndex()];
    if (last === undefined) throw oaasError('Internal', 'only entries that are in the log can be compacted');
    this.#entries = this.#entries.slice(index + 1 - this.firstIndex());
    this.#compacted = { index, term: last.term };
    return true;
  }
}
