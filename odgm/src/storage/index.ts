/** The storage port. The engines (`./memory.ts`, `./lmdb.ts`) are chosen by the composition root only. */
export type {
  RangeQuery,
  Storage,
  StorageReader,
  StorageSnapshot,
  StorageUsage,
  StoredEntry,
  WriteOperation,
} from './port.ts';
export { maxKeyBytes } from './port.ts';
export { prefixEnd } from './prefix.ts';
