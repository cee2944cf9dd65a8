/** What `run` says that it did, a second, after a second of warm-up. */
export async function perSecond(run: (n: number) => Promise<number>, atOnce: number, seconds: number): Promise<number> {
  let done = 0;
  let next = 0;
  const warmUntil = performance.now() + 1000;
  const until = warmUntil + seconds * 1000;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (performance.now() < until) {
        const did = await run(next++);
        const now = performance.now();
        if (now >= warmUntil && now < until) done += did;
      }
    }),
  );
  return done / seconds;
}
