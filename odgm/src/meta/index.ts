/** The meta group's replicated state: members, collections, shards, tasks. */
export type * from './types.ts';
export * from './commands.ts';
export { createMetaState, defaultSettings, metaCollection, metaShard, newClusterThrottle } from './state.ts';
export { Absences, type IsGone } from './absences.ts';
export { apply } from './apply.ts';
export { deletedOf } from './apply-collections.ts';
export { changedSettings, invalidSettings, type SettingsChange } from './settings.ts';
export { isFinished } from './apply-tasks.ts';
export { canonical, decodeCommand, decodeState, encodeCommand, encodeState } from './codec.ts';
export { defaultShardType } from './shard-type.ts';
export { MetaDuties } from './duties.ts';
export { MetaGroup, type NewCommand } from './group.ts';
export { MetaMachine } from './machine.ts';
export { alarmOf, canDoWithout, freezeOf, hasLostMajority, isFirst, isFounder } from './alarms.ts';
export {
  freeBytesOf,
  lastFullCheck,
  makeAnew,
  ownersOf,
  placementSnapshot,
  refusalCodeOf,
  refusalError,
  replicasOf,
  type ShardLoad,
  shardsOfMember,
} from './view.ts';
