import type { ExpiringEntry } from './model.ts';

export interface ExpirySweepOptions {
  /** Whether this replica is the one to take entries away, and some may have expired. Cheap. */
  readonly isDue: () => boolean;
  /** At most `limit` that have expired and are still stored, the longest overdue first. */
  readonly expired: (limit: number) => readonly ExpiringEntry[];
  /** Takes entries away; settled when that is stored, or cannot be done now. */
  readonly take: (entries: readonly ExpiringEntry[]) => Promise<unknown>;
  /** None has expired that is still stored. */
  readonly onNone: () => void;
}

/**
 * Takes away the entries of a shard that have expired: a batch after the other until none is left, so that it keeps up
 * with any rate of writes. One batch is under way at a time, and takes its turn among the mutations of clients.
 */
export class ExpirySweep {
  readonly #options: ExpirySweepOptions;
  #isUnderWay = false;

  constructor(options: ExpirySweepOptions) {
    this.#options = options;
  }

  /**
   * Begins, unless that is under way already, with batches of at most `limit` entries. Ends with a batch that is not full,
   * and with one that could not be taken away: what is left is found by the next call, here or on another replica.
   */
  begin(limit: number): void {
    if (this.#isUnderWay || !this.#options.isDue()) return;
    this.#isUnderWay = true;
    const done = (): void => {
      this.#isUnderWay = false;
    };
    this.#run(limit).then(done, done);
  }

  async #run(limit: number): Promise<void> {
    const { isDue, expired, take, onNone } = this.#options;
    while (isDue()) {
      const entries = expired(limit);
      if (entries.length === 0) onNone();
      else await take(entries);
      if (entries.length < limit) return;
    }
  }
}
