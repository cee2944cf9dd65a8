/** Work that is done one after the other, each kind at most once more than it is under way. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  readonly #waiting = new Map<string, Promise<void>>();

  /**
   * Does it when all before it is done. Joins what waits under the name and has not begun: that finds whatever there is
   * by now.
   */
  run(name: string, work: () => Promise<void>): Promise<void> {
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) return waiting;
    const done = this.#last.then(() => {
      this.#waiting.delete(name);
      return work();
    });
    this.#waiting.set(name, done);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
