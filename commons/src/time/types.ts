/** Where the time comes from. Only composition roots hand out the system's. */
export interface Clock {
  /** Wall-clock time: milliseconds since the Unix epoch. May jump. */
  now(): number;
  /** Milliseconds since an arbitrary start. Never goes back: use it to measure durations. */
  monotonic(): number;
}

export interface Timer {
  /** Stops the timer. After that `run` is not called. Calling it twice does nothing. */
  cancel(): void;
}

export interface Timers {
  /** Calls `run` once, `delayMs` from now (a negative delay counts as 0), never before this call returns. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` every `intervalMs` (at least 1), first after one interval. */
  every(intervalMs: number, run: () => void): Timer;
}

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  bytes(count: number): Uint8Array;
}

/** The part of the standard AbortSignal that pure code needs. */
export interface CancelSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
