/** A bound on what goes on at once, first come, first served. */
export class Slots {
  readonly #count: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /**
   * Waits for a slot. Gives the function that frees it; calling that twice does nothing. An aborted wait gives one that
   * frees nothing: whoever waits looks at the signal next anyway.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return () => undefined;
    if (this.#taken < this.#count) this.#taken += 1;
    else if (!(await this.#wait(signal))) return () => undefined;
    let isFreed = false;
    return () => {
      if (isFreed) return;
      isFreed = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#taken -= 1;
      else next();
    };
  }

  /** False: aborted. */
  #wait(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(onTurn), 1);
        resolve(false);
      };
      const onTurn = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(true);
      };
      this.#waiting.push(onTurn);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
