/** Asks again and again until an answer passes. Throws the last failure when `withinMs` is over. */
export async function eventually<T>(
  ask: () => Promise<T>,
  passes: (answer: T) => boolean,
  { withinMs = 60_000, what }: { readonly withinMs?: number; readonly what: string },
): Promise<T> {
  const deadline = Date.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (passes(answer)) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      const seen = last instanceof Error ? last.message : JSON.stringify(last, null, 1).slice(0, 4000);
      throw new Error(`${what}: not within ${withinMs} ms; last seen: ${seen}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
