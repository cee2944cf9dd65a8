/** The ports of storage. The engines (`./memory.ts`, `./durable.ts`) are chosen by the composition root only. */
export type {
  RangeQuery,
  Storage,
  StorageReader,
  StorageSnapshot,
  StorageUsage,
  StoredEntry,
  WriteOperation,
} from './port.ts';
export type {
  Engine,
  EngineStatus,
  GroupLog,
  HardState,
  JournalPlace,
  JournalScrub,
  LogEntry,
  LogEntryType,
  LogPosition,
  LogWrite,
  ScrubQuery,
  ScrubResult,
} from './engine.ts';
export { noHardState, noPosition } from './engine.ts';
export { maxKeyBytes } from './port.ts';
export { prefixEnd } from './prefix.ts';
