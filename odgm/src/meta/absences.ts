import type { Clock } from '@oaas/commons/time';
import type { MemberRecord } from './types.ts';

/** Whether what the member holds is to be made anew elsewhere: it never comes back, or was away for too long. */
export type IsGone = (member: MemberRecord) => boolean;

/**
 * How long members have been down, by this node's monotonic clock, from when it first saw them recorded so. The time in the
 * record is of the wall clock of whoever led then: a leader whose own clock is behind that would wait for ever, and one
 * whose clock is ahead not at all. Every node counts, so that a new leader goes on from what it saw before it led; one that
 * was started since waits the whole bound anew.
 */
export class Absences {
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** By number of the member: the time in its record, to tell one absence from the next, and when that was first seen. */
  #seen = new Map<number, { readonly recorded: number; readonly at: number }>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** To be called after changes, with all members. */
  note(members: Iterable<MemberRecord>): void {
    const before = this.#seen;
    this.#seen = new Map();
    for (const { number, state, stateSince: recorded } of members) {
      if (state !== 'down') continue;
      const known = before.get(number);
      this.#seen.set(number, known?.recorded === recorded ? known : { recorded, at: this.#clock.monotonic() });
    }
  }

  /** @param boundMs how long one may be away. */
  isGone({ number, state, stateSince, replacedBy }: MemberRecord, boundMs: number): boolean {
    if (replacedBy !== undefined) return true;
    const seen = this.#seen.get(number);
    return state === 'down' && seen?.recorded === stateSince && this.#clock.monotonic() - seen.at >= boundMs;
  }
}
