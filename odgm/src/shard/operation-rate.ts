/** Operations of one replica: all so far, and how many a second there were between the last two looks. */
export class OperationRate {
  /** Added to by whoever serves an operation. */
  count = 0;
  #seen = 0;
  #perSecond = 0;

  /** Operations a second over the last whole interval; 0 before there was one. */
  get perSecond(): number {
    return this.#perSecond;
  }

  /** An interval of so many seconds ends. */
  sample(seconds: number): void {
    this.#perSecond = (this.count - this.#seen) / seconds;
    this.#seen = this.count;
  }
}
