import type { Clock } from '@oaas/commons/time';

/**
 * How long this node has known of things, by its monotonic clock. Times in records are of the wall clock of whoever led
 * then: a leader whose own clock is behind that would wait for ever, and one whose clock is ahead not at all. Every node
 * counts, so that a new leader goes on from what it saw before it led; one that was started since counts anew.
 */
export class FirstSeen {
  readonly #clock: Pick<Clock, 'monotonic'>;
  #seen = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** To be called after changes, with a name for each thing that there is; what is not named is forgotten. */
  note(names: Iterable<string>): void {
    const before = this.#seen;
    this.#seen = new Map();
    for (const name of names) this.#seen.set(name, before.get(name) ?? this.#clock.monotonic());
  }

  /** Milliseconds; `undefined` for what was not in the last note. */
  ageOf(name: string): number | undefined {
    const at = this.#seen.get(name);
    return at === undefined ? undefined : this.#clock.monotonic() - at;
  }
}
