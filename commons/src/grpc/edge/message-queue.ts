import type { OaasError } from '../../errors/index.ts';

interface Waiter {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The messages that came on a stream and wait for their reader. Bounded by the flow-control window: `taken` is called as
 * the reader takes a message, and only then the peer may send as much again.
 */
export class MessageQueue implements AsyncIterableIterator<unknown> {
  private readonly waiting: { readonly value: unknown; readonly bytes: number }[] = [];
  private at = 0;
  private waiters: Waiter[] = [];
  private ended = false;
  private failure: OaasError | undefined = undefined;
  private readonly taken: (bytes: number) => void;
  private readonly left: () => void;

  /** @param left called when the reader stops before the end. */
  constructor(taken: (bytes: number) => void, left: () => void) {
    this.taken = taken;
    this.left = left;
  }

  /** The reader has taken all that came. */
  get isEmpty(): boolean {
    return this.at >= this.waiting.length;
  }

  push(value: unknown, bytes: number): void {
    if (this.ended || this.failure !== undefined) {
      this.taken(bytes);
      return;
    }
    const waiter = this.waiters.shift();
    if (waiter === undefined) {
      this.waiting.push({ value, bytes });
      return;
    }
    this.taken(bytes);
    waiter.resolve({ done: false, value });
  }

  /** After the messages that wait, the reader is told that there are no more. */
  end(): void {
    this.ended = true;
    for (const waiter of this.waiters) waiter.resolve({ done: true, value: undefined });
    this.waiters = [];
  }

  /** The reader gets the error at once: what waits is dropped. */
  fail(error: OaasError): void {
    if (this.failure !== undefined || (this.ended && this.at >= this.waiting.length)) return;
    this.failure = error;
    this.drop();
    for (const waiter of this.waiters) waiter.reject(error);
    this.waiters = [];
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    const { failure } = this;
    if (failure !== undefined) return Promise.reject(failure);
    const first = this.waiting[this.at];
    if (first !== undefined) {
      this.at += 1;
      if (this.at >= 256 || this.at === this.waiting.length) {
        this.waiting.splice(0, this.at);
        this.at = 0;
      }
      this.taken(first.bytes);
      return Promise.resolve({ done: false, value: first.value });
    }
    if (this.ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.waiters.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    const isOver = this.failure !== undefined || (this.ended && this.at >= this.waiting.length);
    this.drop();
    this.ended = true;
    if (!isOver) this.left();
    return Promise.resolve({ done: true, value: undefined });
  }

  private drop(): void {
    let bytes = 0;
    for (; this.at < this.waiting.length; this.at += 1) bytes += this.waiting[this.at]?.bytes ?? 0;
    this.waiting.length = 0;
    this.at = 0;
    if (bytes > 0) this.taken(bytes);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
