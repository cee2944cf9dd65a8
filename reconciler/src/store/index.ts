/** Storage of the control plane: one port, a memory adapter and an embedded one in a single file. */
export type { Change, Entry, EntryPage, ListOptions, Store, Transaction } from './types.ts';
export { storeLimits } from './types.ts';
export { createMemoryStore } from './memory.ts';
export { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded.ts';
export { commitFailure } from './commit-failure.ts';
