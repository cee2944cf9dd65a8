import { oaasError } from '../errors/index.ts';

/** One after the other, for each key on its own. A key without work takes no memory. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /**
   * Runs `work` when all earlier work of the key is done. Rejects with `Cancelled` when `signal` aborts before that:
   * `work` is then not run.
   */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last.get(key);
    let done = (): void => undefined;
    const own = new Promise<void>((resolve) => {
      done = resolve;
    });
    const turn = before === undefined ? own : before.then(() => own);
    this.#last.set(key, turn);
    try {
      if (before !== undefined) await untilAborted(before, signal);
      return await work();
    } finally {
      done();
      if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }
}

function untilAborted(turn: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return turn;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(oaasError('Cancelled', 'the call ended while it waited for its turn', { cause: signal.reason }));
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void turn.then(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
  });
}
