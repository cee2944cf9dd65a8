import type { Clock } from '@oaas/commons/time';
import type { GitSource } from '../../git/index.ts';
import type { PmMetrics } from './metrics.ts';

/** The same source, with its requests counted and timed under `name`. */
export function measuredGit(git: GitSource, name: string, metrics: PmMetrics, clock: Clock): GitSource {
  const count = async <T>(type: 'check' | 'fetch', run: () => Promise<T>): Promise<T> => {
    const startedAt = clock.monotonic();
    let result: 'ok' | 'error' = 'error';
    try {
      const value = await run();
      result = 'ok';
      return value;
    } finally {
      metrics.gitRequests.inc({ repo: name, type, result });
      metrics.gitDuration.observe({ type }, (clock.monotonic() - startedAt) / 1000);
    }
  };
  return {
    ...git,
    check: (ref, signal) => count('check', () => git.check(ref, signal)),
    snapshot: (commit, ref, signal) => count('fetch', () => git.snapshot(commit, ref, signal)),
  };
}
