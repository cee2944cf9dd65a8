export * from './types.ts';
export type { LogMiss, RaftStorage } from './storage.ts';
export type { RaftConfig, RaftLogger, ReadOnlyOption } from './config.ts';
export { RawNode } from './raw-node.ts';
