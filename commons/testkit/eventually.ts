/** How {@link eventually} waits. */
export interface EventuallyOptions {
  /** Gives up after this many milliseconds; default 10,000. Generous, since a slow machine is no defect. */
  readonly timeoutMs?: number;
  /** Milliseconds between tries; default 10. */
  readonly intervalMs?: number;
}

/**
 * Calls `probe` until it neither throws nor returns `false`, and gives what it returned. A probe that only has
 * assertions and returns nothing has succeeded when it does not throw. After the timeout it throws the last error of `probe`, or says that the condition never held. In real time: for tests only.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, false>> {
  const { timeoutMs = 10_000, intervalMs = 10 } = options;
  const end = performance.now() + timeoutMs;
  for (;;) {
    let failure: unknown = new Error(`the condition did not hold within ${String(timeoutMs)} ms`);
    try {
      const value = await probe();
      if (value !== false) return value as Exclude<T, false>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= end) throw failure;
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
