import type { MetaState, Settings, Throttle } from './types.ts';

/** The meta group is a shard like others, so that its replicas are moved and repaired like others'. */
export const metaShard = 0;
/** No id of a collection contains `$`. */
export const metaCollection = '$meta';

const mebibyte = 1024 * 1024;

const throttle: Throttle = {
  movesPerNode: 2,
  movesPerCluster: 8,
  leaderMoves: 8,
  bytesPerSecond: 32 * mebibyte,
  checks: 4,
  checkBytesPerSecond: 16 * mebibyte,
};

export const defaultSettings: Settings = {
  throttle,
  repairThrottle: { ...throttle, movesPerNode: 4, movesPerCluster: 32, bytesPerSecond: 64 * mebibyte },
  nodeDownMs: 60_000,
  autoRebalance: 'suggest',
  rebalanceBelow: 0.85,
  rebalanceUntil: 0.95,
  checkEveryMs: 24 * 60 * 60_000,
  metaReplicas: 3,
};

/** The state before the first command. */
export function createMetaState(): MetaState {
  return {
    cluster: undefined,
    members: new Map(),
    collections: new Map(),
    shards: new Map(),
    tasks: new Map(),
    settings: { ...defaultSettings },
    alarms: [],
    checks: [],
    deleted: [],
    next: { member: 1, shard: 1, task: 1 },
  };
}
