import type { Settings, Throttle } from './types.ts';

const checkEveryMsMax = 366 * 24 * 60 * 60_000;

/** What is not named stays as it is. */
export type SettingsChange = {
  readonly [K in Exclude<keyof Settings, 'throttle' | 'repairThrottle'>]?: Settings[K] | undefined;
} & {
  readonly [K in 'throttle' | 'repairThrottle']?:
    { readonly [B in keyof Throttle]?: Throttle[B] | undefined } | undefined;
};

/** The settings that a change names, whole: those of its bounds that it does not name are as in `base`. */
export function changedSettings(base: Settings, change: SettingsChange): Partial<Settings> {
  const { throttle, repairThrottle, ...rest } = change;
  return {
    ...named(rest),
    ...(throttle === undefined ? {} : { throttle: { ...base.throttle, ...named(throttle) } }),
    ...(repairThrottle === undefined ? {} : { repairThrottle: { ...base.repairThrottle, ...named(repairThrottle) } }),
  };
}

function named<T extends object>(given: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** Why the settings make no sense; undefined when they do. */
export function invalidSettings(settings: Settings): string | undefined {
  const { throttle, repairThrottle, nodeDownMs, rebalanceBelow, rebalanceUntil, checkEveryMs, metaReplicas } = settings;
  const problem = invalidThrottle(throttle) ?? invalidThrottle(repairThrottle);
  if (problem !== undefined) return problem;
  if (!(nodeDownMs >= 1000)) return 'nodeDownMs is at least 1000';
  if (!(rebalanceBelow >= 0 && rebalanceBelow < rebalanceUntil && rebalanceUntil <= 1)) {
    return '0 <= rebalanceBelow < rebalanceUntil <= 1';
  }
  const isTime = Number.isSafeInteger(checkEveryMs) && checkEveryMs >= 60_000 && checkEveryMs <= checkEveryMsMax;
  if (checkEveryMs !== 0 && !isTime) return 'checkEveryMs is 0, or a minute to a year';
  return [1, 3, 5, 7].includes(metaReplicas) ? undefined : 'metaReplicas is 1, 3, 5 or 7';
}

/** Why the bounds make no sense; undefined when they do. */
export function invalidThrottle(throttle: Throttle): string | undefined {
  const counts = [throttle.movesPerNode, throttle.movesPerCluster, throttle.leaderMoves, throttle.checks];
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0 && count <= 10_000)) {
    return 'numbers of moves and checks are 0 to 10000';
  }
  const rates = [throttle.bytesPerSecond, throttle.checkBytesPerSecond];
  return rates.every((rate) => Number.isFinite(rate) && rate >= 65_536) ? undefined : 'rates are at least 64 KiB/s';
}
