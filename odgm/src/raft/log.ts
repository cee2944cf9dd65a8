import { invariant, oaasError } from '@oaas/commons/errors';
import type { RaftLogger } from './config.ts';
import { entriesSize } from './size.ts';
import type { LogMiss, RaftStorage } from './storage.ts';
import { type Entry, EntryType, type Snapshot } from './types.ts';
import { Unstable } from './unstable.ts';

const none: readonly Entry[] = [];

/** The whole log: what the storage has, then what is unstable. applied <= applying <= committed <= last index. */
export class RaftLog {
  readonly storage: RaftStorage;
  readonly unstable: Unstable;
  /** Known to be on the disks of a quorum. */
  committed: number;
  /** Given out to be applied. */
  applying: number;
  applied: number;
  readonly #logger: RaftLogger;
  /** Bound, and present amount, of bytes given out to be applied and not yet applied. */
  readonly #maxApplyingSize: number;
  #applyingSize = 0;
  #applyingPaused = false;

  constructor(storage: RaftStorage, logger: RaftLogger, maxApplyingSize: number) {
    this.storage = storage;
    this.unstable = new Unstable(storage.lastIndex() + 1, logger);
    const compacted = storage.firstIndex() - 1;
    this.committed = compacted;
    this.applying = compacted;
    this.applied = compacted;
    this.#logger = logger;
    this.#maxApplyingSize = maxApplyingSize;
  }

  firstIndex(): number {
    const { snapshot } = this.unstable;
    return snapshot === undefined ? this.storage.firstIndex() : snapshot.metadata.index + 1;
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.storage.lastIndex();
  }

  lastTerm(): number {
    const term = this.term(this.lastIndex());
    if (typeof term !== 'number') throw oaasError('Internal', 'raft: the storage lost the term of its last entry');
    return term;
  }

  /** Known for `firstIndex() - 1` to `lastIndex()`. */
  term(index: number): number | LogMiss {
    const unstable = this.unstable.term(index);
    if (unstable !== undefined) return unstable;
    if (index + 1 < this.firstIndex()) return 'compacted';
    if (index > this.lastIndex()) return 'unavailable';
    return this.storage.term(index);
  }

  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** The paper's rule for votes (§5.4.1): the later last term wins, then the longer log. */
  isUpToDate(index: number, term: number): boolean {
    const lastTerm = this.lastTerm();
    return term > lastTerm || (term === lastTerm && index >= this.lastIndex());
  }

  /**
   * Takes what a leader sent, if the log matches it at the entry before (consistency check of §5.3). The last index that now matches, or
   * undefined if the check failed.
   */
  maybeAppend(
    prevIndex: number,
    prevTerm: number,
    entries: readonly Entry[],
    leaderCommit: number,
  ): number | undefined {
    if (!this.matchTerm(prevIndex, prevTerm)) return undefined;
    const lastNew = prevIndex + entries.length;
    const from = this.#firstDifferent(entries);
    if (from < entries.length) {
      const { index } = entries[from] as Entry;
      if (index <= this.committed) {
        throw oaasError('Internal', 'raft: a leader sent an entry that contradicts a committed one', {
          details: { index, committed: this.committed },
        });
      }
      this.unstable.append(entries, from);
    }
    this.commitTo(Math.min(leaderCommit, lastNew));
    return lastNew;
  }

  /** Appends entries of this node's own term. */
  append(entries: readonly Entry[]): void {
    invariant((entries[0]?.index ?? Infinity) > this.committed, 'a committed entry is never replaced');
    this.unstable.append(entries);
  }

  /** Position of the first entry that the log does not have with the same term; their number if it has all. */
  #firstDifferent(entries: readonly Entry[]): number {
    for (let i = 0; i < entries.length; i++) {
      const { index, term } = entries[i] as Entry;
      const present = this.term(index);
      if (present === term) continue;
      if (typeof present === 'number') {
        this.#logger.info({ index, present, term }, 'found an entry that contradicts the leader');
      }
      return i;
    }
    return entries.length;
  }

  /**
   * The last index up to `index` at which this log could match another one, of which only a term at `index` is known: that with a term no
   * higher. Both sides use it after a failed consistency check to skip what cannot match, a term at a time. Where the own term is not known
   * any more, a match is possible; the term is then 0.
   */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    for (let at = index; at > 0; at--) {
      const own = this.term(at);
      if (typeof own !== 'number') return { index: at, term: 0 };
      if (own <= term) return { index: at, term: own };
    }
    return { index: 0, term: 0 };
  }

  commitTo(index: number): void {
    if (index <= this.committed) return;
    if (index > this.lastIndex()) {
      throw oaasError('Internal', 'raft: an entry is committed that this log does not have: it was lost, or damaged', {
        details: { index, lastIndex: this.lastIndex() },
      });
    }
    this.committed = index;
  }

  /** Commits up to `index` if its entry is of `term` (§5.4.2: only entries of the own term are committed by counting). */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.committed || !this.matchTerm(index, term)) return false;
    this.commitTo(index);
    return true;
  }

  appliedTo(index: number, size: number): void {
    if (index > this.committed || index < this.applied) {
      throw oaasError('Internal', 'raft: the applied index is out of bounds', {
        details: { index, applied: this.applied, committed: this.committed },
      });
    }
    this.applied = index;
    if (this.applying < index) this.applying = index;
    this.#applyingSize = Math.max(0, this.#applyingSize - size);
    this.#applyingPaused = this.#applyingSize >= this.#maxApplyingSize;
  }

  /** Entries up to `index`, of `size` bytes, were given out to be applied. */
  acceptApplying(index: number, size: number, allowUnstable: boolean): void {
    invariant(index <= this.committed, 'only committed entries are applied');
    this.applying = index;
    this.#applyingSize += size;
    // What was held back for its size says that the next entry would be too much.
    this.#applyingPaused = this.#applyingSize >= this.#maxApplyingSize || index < this.#maxAppliable(allowUnstable);
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.applying < this.#maxAppliable(allowUnstable);
  }

  /** Committed entries that were not given out yet; those not yet in the storage only if `allowUnstable`. None while a snapshot waits. */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return none;
    const entries = this.#slice(
      this.applying + 1,
      this.#maxAppliable(allowUnstable) + 1,
      this.#maxApplyingSize - this.#applyingSize,
    );
    if (entries === 'compacted') throw oaasError('Internal', 'raft: entries were compacted before they were applied');
    return entries;
  }

  #maxAppliable(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  snapshot(): Snapshot | 'temporarilyUnavailable' {
    return this.unstable.snapshot ?? this.storage.snapshot();
  }

  restore(snapshot: Snapshot): void {
    this.committed = snapshot.metadata.index;
    this.unstable.restore(snapshot);
  }

  /** Entries from `lo` to the end, as many as fit in `maxBytes`, at least one. */
  entries(lo: number, maxBytes: number): readonly Entry[] | 'compacted' {
    const last = this.lastIndex();
    return lo > last ? none : this.#slice(lo, last + 1, maxBytes);
  }

  /** Whether a committed entry that is not yet applied changes the configuration. Reads at most `pageSize` bytes at a time. */
  hasUnappliedConfChange(pageSize: number): boolean {
    let at = this.applied + 1;
    while (at <= this.committed) {
      const entries = this.#slice(at, this.committed + 1, pageSize);
      if (entries === 'compacted') throw oaasError('Internal', 'raft: entries were compacted before they were applied');
      if (entries.some(({ type }) => type !== EntryType.EntryNormal)) return true;
      at += entries.length;
    }
    return false;
  }

  #slice(lo: number, hi: number, maxBytes: number): readonly Entry[] | 'compacted' {
    if (lo < this.firstIndex()) return 'compacted';
    const { offset } = this.unstable;
    if (lo >= offset) return this.unstable.slice(lo, hi, maxBytes);
    const cut = Math.min(hi, offset);
    const stable = this.storage.entries(lo, cut, maxBytes);
    if (stable === 'compacted') return stable;
    if (stable === 'unavailable' || stable.length === 0) {
      throw oaasError('Internal', 'raft: the storage does not return entries that it has', {
        details: { lo, hi: cut },
      });
    }
    if (hi <= offset || stable.length < cut - lo) return stable;
    const left = maxBytes - entriesSize(stable);
    if (left <= 0) return stable;
    const rest = this.unstable.slice(offset, hi, left);
    // The one entry that is always returned may be too much.
    if (rest.length === 1 && entriesSize(rest) > left) return stable;
    return stable.concat(rest);
  }
}
