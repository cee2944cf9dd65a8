/** Bytes that wait to be stored, of all merging replicas of a node together, up to a bound: they share its disk. */
export class WaitingBytes {
  readonly max: number;
  #held = 0;

  constructor(max: number) {
    this.max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** False, and nothing taken, when there is no room. Where nothing waits there is always some. */
  take(bytes: number): boolean {
    if (this.#held > 0 && this.#held + bytes > this.max) return false;
    this.#held += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#held -= bytes;
  }
}
