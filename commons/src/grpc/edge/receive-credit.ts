/**
 * What the other side of a streaming call may send again: as much as was read, so that a reader that stops stops the
 * sender. A message that the reader waits for is credited while it comes, since it may be larger than the window; that
 * advance is kept back from what is read later, so that in all exactly the bytes that came are credited.
 */
export class ReceiveCredit {
  private readonly consume: (bytes: number) => void;
  /** Credited before it was read. */
  private early = 0;
  /** The part of it that belongs to the message which is not whole yet. */
  private advanced = 0;

  constructor(consume: (bytes: number) => void) {
    this.consume = consume;
  }

  /** The unfinished message became whole. */
  completed(): void {
    this.advanced = 0;
  }

  /** @param held what came of the unfinished message. @param isAwaited the reader has nothing else to read. */
  unfinished(held: number, isAwaited: boolean): void {
    if (!isAwaited || held <= this.advanced) return;
    const more = held - this.advanced;
    this.advanced = held;
    this.early += more;
    this.consume(more);
  }

  read(bytes: number): void {
    const advance = Math.min(this.early, bytes);
    this.early -= advance;
    if (bytes > advance) this.consume(bytes - advance);
  }
}
