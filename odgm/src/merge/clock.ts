import { invariant, oaasError } from '@oaas/commons/errors';
import { laterStamp, maxStampCounter, maxStampMs, type Stamp, zeroStamp } from './stamp.ts';

/** A remote stamp further ahead of this node's wall clock than this is refused. */
export const defaultMaxAheadMs = 5000;

export interface HybridClockOptions {
  /** Number of this member, at least 1. */
  readonly member: number;
  /**
   * The latest stamp that this member gave or saw before it started, as stored: the highest of all that is stored will
   * do, because a stamp leaves a node only after the write that carries it is stored. Default: none.
   */
  readonly last?: Stamp | undefined;
  /** Default {@link defaultMaxAheadMs}. */
  readonly maxAheadMs?: number | undefined;
}

/**
 * Hybrid logical clock of one member: close to wall-clock time, never back, and after everything it has observed. The
 * wall clock is an argument of each call; when it stands still or jumps back, the counter (and in the end the
 * milliseconds) go on by themselves.
 */
export class HybridClock {
  readonly #member: number;
  readonly #maxAheadMs: number;
  #last: Stamp;

  constructor(options: HybridClockOptions) {
    invariant(Number.isSafeInteger(options.member) && options.member >= 1, 'a member number is at least 1');
    this.#member = options.member;
    this.#maxAheadMs = options.maxAheadMs ?? defaultMaxAheadMs;
    this.#last = options.last ?? zeroStamp;
  }

  /** The latest stamp given or observed. Store it (or what carries it) to start from it again. */
  get last(): Stamp {
    return this.#last;
  }

  /**
   * Milliseconds from `nowMs` until others whose wall clocks are right would take a new stamp. 0, unless the wall clock
   * went back by more than `maxAheadMs` after stamps were given.
   */
  aloneMs(nowMs: number): number {
    return Math.max(0, this.#last.ms - nowMs - this.#maxAheadMs);
  }

  /** A new stamp, after all given and observed ones. `nowMs` is the wall clock, in ms since the Unix epoch. */
  tick(nowMs: number): Stamp {
    const now = Math.floor(nowMs);
    const { ms, counter } = this.#last;
    if (now > ms) this.#last = { ms: now, counter: 0, member: this.#member };
    else if (counter < maxStampCounter) this.#last = { ms, counter: counter + 1, member: this.#member };
    else this.#last = { ms: ms + 1, counter: 0, member: this.#member };
    if (this.#last.ms > maxStampMs) throw oaasError('Internal', 'the clock is beyond what a stamp can hold');
    return this.#last;
  }

  /**
   * Takes note of a stamp from elsewhere: later ticks come after it. False, and nothing noted, when it is more than
   * `maxAheadMs` ahead of `nowMs`: what carries it must not be merged now, and comes again with a later exchange. It
   * is refused and not set back, because replicas that set the same stamp back to different times would never agree.
   */
  observe(remote: Stamp, nowMs: number): boolean {
    if (remote.ms - nowMs > this.#maxAheadMs) return false;
    this.#last = laterStamp(this.#last, remote);
    return true;
  }
}
