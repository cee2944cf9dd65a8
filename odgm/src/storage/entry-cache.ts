import type { Run } from './group-log.ts';

/**
 * Log entries kept in memory, of all groups together. Bounded by bytes of data: the oldest go first, and are read from
 * the journal from then on.
 */
export class EntryCache {
  readonly #maxBytes: number;
  #runs: Run[] = [];
  #head = 0;
  bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  cached(run: Run): void {
    this.#runs.push(run);
    this.bytes += run.bytes;
    while (this.bytes > this.#maxBytes && this.#head < this.#runs.length) this.#evictOldest();
    this.#tidy();
  }

  released(bytes: number): void {
    this.bytes -= bytes;
    // What was released stays in the list until it is the oldest: look now and then.
    while (this.#runs[this.#head]?.entries === undefined && this.#head < this.#runs.length) this.#head += 1;
    this.#tidy();
  }

  #evictOldest(): void {
    const run = this.#runs[this.#head];
    this.#head += 1;
    if (run?.entries === undefined) return;
    this.bytes -= run.bytes;
    run.entries = undefined;
  }

  #tidy(): void {
    if (this.#head < 1024 || this.#head * 2 < this.#runs.length) return;
    this.#runs = this.#runs.slice(this.#head);
    this.#head = 0;
  }
}
