import { invariant, oaasError } from '@oaas/commons/errors';
import type { RaftLogger } from './config.ts';
import { countWithin } from './size.ts';
import type { Entry, Snapshot } from './types.ts';

/**
 * The end of the log, and a snapshot, that the storage may not have yet: not handed out, or handed out and being written. It stays here until
 * the storage is known to return it. `offset` may be less than the storage's last index: what is here then replaces what is there.
 */
export class Unstable {
  snapshot: Snapshot | undefined;
  /** Index of `entries[0]`, or of the next entry if there is none. */
  offset: number;
  /** Entries before this index are being written. */
  offsetInProgress: number;
  snapshotInProgress = false;
  #entries: Entry[] = [];
  readonly #logger: RaftLogger;

  /** The last slice that was cut. Followers that keep up, and the storage, ask for the same range one after the other. */
  #cutFrom = 0;
  #cutTo = 0;
  #cutBytes = 0;
  #cut: readonly Entry[] = [];

  constructor(offset: number, logger: RaftLogger) {
    this.offset = offset;
    this.offsetInProgress = offset;
    this.#logger = logger;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Undefined if the storage is to be asked. */
  lastIndex(): number | undefined {
    const { length } = this.#entries;
    return length > 0 ? this.offset + length - 1 : this.snapshot?.metadata.index;
  }

  /** Undefined if `index` is not here. */
  term(index: number): number | undefined {
    if (index >= this.offset) return this.#entries[index - this.offset]?.term;
    return this.snapshot?.metadata.index === index ? this.snapshot.metadata.term : undefined;
  }

  get hasNextEntries(): boolean {
    return this.offset + this.#entries.length > this.offsetInProgress;
  }

  nextEntries(): readonly Entry[] {
    return this.hasNextEntries ? this.slice(this.offsetInProgress, this.offset + this.#entries.length, Infinity) : [];
  }

  get nextSnapshot(): Snapshot | undefined {
    return this.snapshotInProgress ? undefined : this.snapshot;
  }

  /** Everything here is being written. */
  acceptInProgress(): void {
    if (this.#entries.length > 0) this.offsetInProgress = this.offset + this.#entries.length;
    if (this.snapshot !== undefined) this.snapshotInProgress = true;
  }

  /**
   * The storage has the log up to the entry with this index and term, and nothing that is still being written can take it away again (see
   * `storageAppendResponse`). An entry that was replaced meanwhile says nothing about what is here now.
   */
  stableTo(index: number, term: number): void {
    const present = this.term(index);
    if (present === undefined || index < this.offset || present !== term) {
      this.#logger.debug({ index, term, present }, 'ignored a stable entry that the unstable log does not hold');
      return;
    }
    const count = index + 1 - this.offset;
    this.#entries = count === this.#entries.length ? [] : this.#entries.slice(count);
    this.offset = index + 1;
    if (this.offsetInProgress < this.offset) this.offsetInProgress = this.offset;
    if (this.#cutTo <= this.offset) this.#forgetCut();
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot?.metadata.index !== index) return;
    this.snapshot = undefined;
    this.snapshotInProgress = false;
  }

  restore(snapshot: Snapshot): void {
    this.offset = snapshot.metadata.index + 1;
    this.offsetInProgress = this.offset;
    this.#entries = [];
    this.snapshot = snapshot;
    this.snapshotInProgress = false;
    this.#forgetCut();
  }

  /** Appends `entries` from `from` on, after cutting off whatever is at their indexes. */
  append(entries: readonly Entry[], from = 0): void {
    const first = entries[from];
    if (first === undefined) return;
    const end = this.offset + this.#entries.length;
    if (first.index < end) this.#truncate(first.index);
    invariant(first.index === this.offset + this.#entries.length, 'the log has no gaps');
    for (let i = from; i < entries.length; i++) this.#entries.push(entries[i] as Entry);
  }

  /** Entries `lo` to `hi - 1`, all of which must be here, as many as fit in `maxBytes`, but at least one. */
  slice(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    if (lo > hi || lo < this.offset || hi > this.offset + this.#entries.length) {
      throw oaasError('Internal', 'raft: entries were asked for that are not in the unstable log', {
        details: { lo, hi, offset: this.offset, count: this.#entries.length },
      });
    }
    if (lo === this.#cutFrom && hi === this.#cutTo) {
      if (maxBytes === this.#cutBytes || (maxBytes > this.#cutBytes && this.#cut.length === hi - lo)) return this.#cut;
    }
    const from = lo - this.offset;
    const count = countWithin(this.#entries, from, hi - this.offset, maxBytes);
    this.#cut = this.#entries.slice(from, from + count);
    this.#cutFrom = lo;
    this.#cutTo = hi;
    this.#cutBytes = maxBytes;
    return this.#cut;
  }

  #truncate(index: number): void {
    if (index <= this.offset) {
      this.#logger.info({ index }, 'replaced the unstable entries');
      this.#entries = [];
      this.offset = index;
      this.offsetInProgress = index;
    } else {
      this.#logger.info({ index }, 'cut off the end of the unstable entries');
      this.#entries = this.#entries.slice(0, index - this.offset);
      if (this.offsetInProgress > index) this.offsetInProgress = index;
    }
    this.#forgetCut();
  }

  /** The entries are no longer these, or no longer needed: an idle group holds on to none. */
  #forgetCut(): void {
    this.#cutFrom = 0;
    this.#cutTo = 0;
    this.#cut = [];
  }
}
