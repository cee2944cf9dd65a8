import type { HardState, LogMiss, RaftStorage, Snapshot, SnapshotMetadata } from '../raft/index.ts';
import { type ConfState, type Entry, noBytes } from '../raft/index.ts';
import type { GroupLog } from '../storage/index.ts';

/** The log of a group as the core reads it. */
export class LogStorage implements RaftStorage {
  readonly #log: GroupLog;
  readonly #initial: { readonly hardState: HardState; readonly confState: ConfState };
  readonly #state: () => SnapshotMetadata;

  /** `state` gives the applied state's position. */
  constructor(log: GroupLog, hardState: HardState, state: () => SnapshotMetadata) {
    this.#log = log;
    this.#initial = { hardState, confState: state().confState };
    this.#state = state;
  }

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return this.#initial;
  }

  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] | LogMiss {
    if (lo < this.#log.firstIndex) return 'compacted';
    if (hi > this.#log.lastIndex + 1) return 'unavailable';
    return this.#log.entries(lo, hi, maxBytes);
  }

  term(index: number): number | LogMiss {
    const term = this.#log.term(index);
    if (term !== undefined) return term;
    return index < this.#log.firstIndex ? 'compacted' : 'unavailable';
  }

  firstIndex(): number {
    return this.#log.firstIndex;
  }

  lastIndex(): number {
    return this.#log.lastIndex;
  }

  snapshot(): Snapshot | 'temporarilyUnavailable' {
    return { metadata: this.#state(), data: noBytes };
  }
}
