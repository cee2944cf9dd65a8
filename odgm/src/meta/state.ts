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

/** Of a cluster before its first command, in every build: replicas that replay the log would differ otherwise. */
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

/**
 * Of a cluster that this build forms, which its first command says. One copy at a time on each member: with two, callers of
 * members with few cores wait several times as long while data is moved.
 */
export const newClusterThrottle: Throttle = { ...throttle, movesPerNode: 1 };

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
