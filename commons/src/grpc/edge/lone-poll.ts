import type { Clock } from '../../time/index.ts';

/** So many quick calls in a row, one at a time, before it pays to wait awake; the first slow one ends it. */
const quickCallsMin = 8;

export interface LonePollOptions {
  readonly clock: Clock;
  /** How long to stay awake after an answer. */
  readonly pollMs: number;
  /** Runs a function after the event loop has looked for bytes once more, without sleeping. */
  readonly soon: (run: () => void) => void;
}

/**
 * Keeps the event loop awake for a moment after the answer to a lone caller, one who asks again as soon as it has its
 * answer. To put a processor to sleep and to wake it takes longer than such a call, and costs the caller's processor time
 * too: staying awake is quicker and no dearer. It learns whether that is so, as the kernel's halt polling does
 * (Linux, Documentation/virt/guest-halt-polling.rst): at the bound, `pollMs` without a byte, the loop sleeps and the next
 * eight quick calls must show again that it pays. Calls that overlap never keep it awake.
 */
export class LonePoll {
  private readonly options: LonePollOptions;
  /** Calls that began since none was open. */
  private calls = 0;
  private quickCalls = 0;
  private answeredAt: number | undefined = undefined;
  /** Awake until then; undefined: nothing is waited for. */
  private until: number | undefined = undefined;
  private isAwake = false;
  private readonly look = (): void => {
    const { clock, soon } = this.options;
    if (this.until !== undefined && clock.monotonic() < this.until) {
      soon(this.look);
      return;
    }
    this.isAwake = false;
    if (this.until !== undefined) this.quickCalls = 0;
    this.until = undefined;
  };

  constructor(options: LonePollOptions) {
    this.options = options;
  }

  /** A call began. */
  called(): void {
    this.calls += 1;
  }

  /** Bytes came. */
  heard(nowMs: number): void {
    this.until = undefined;
    if (this.answeredAt === undefined) return;
    if (nowMs - this.answeredAt <= this.options.pollMs) this.quickCalls += 1;
    else this.quickCalls = 0;
    this.answeredAt = undefined;
  }

  /** What there was to say is written. @param openCalls that still wait for their answer, or more than one caller's. */
  written(openCalls: number): void {
    if (openCalls > 0 || this.calls === 0) return;
    const isLone = this.calls === 1;
    this.calls = 0;
    if (!isLone) {
      this.quickCalls = 0;
      this.answeredAt = undefined;
      return;
    }
    const { clock, pollMs, soon } = this.options;
    this.answeredAt = clock.monotonic();
    if (this.quickCalls < quickCallsMin) return;
    this.until = this.answeredAt + pollMs;
    if (this.isAwake) return;
    this.isAwake = true;
    soon(this.look);
  }
}
