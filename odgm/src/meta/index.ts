/** The meta group's replicated state: members, collections, shards, tasks. */
export type * from './types.ts';
export * from './commands.ts';
export { createMetaState, defaultSettings, metaCollection, metaShard } from './state.ts';
