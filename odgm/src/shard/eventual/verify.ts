import { isOaasError } from '@oaas/commons/errors';
import { decodeLeaf, encodeRegister } from '../../merge/index.ts';
import type { StorageReader } from '../../storage/index.ts';
import type { Value } from '../model.ts';
import {
  after,
  decodeMeta,
  decodeValue,
  entryKey,
  entryOf,
  hasEntries,
  headLength,
  metaKey,
  type ShardLocation,
} from '../records.ts';
import { digestOf, leafBounds, ofTreeKey } from './records.ts';

/** How far a look at all that a replica has stored is. */
export interface Verification {
  readonly id: string;
  readonly isDone: boolean;
  readonly readBytes: number;
  /** Entries that cannot be read, or are not what their leaves say, as `object/key`; at most 100. */
  readonly bad: string[];
  /** Why it ended early. */
  readonly problem: string | undefined;
}

const sliceBytes = 128 * 1024;
const badMax = 100;

/** Looks at some entries from a key on; gives the key to go on from, or undefined at the end. */
export function verifySlice(
  storage: StorageReader,
  location: ShardLocation,
  from: Uint8Array | undefined,
  verification: { readBytes: number; readonly bad: string[] },
): Uint8Array | undefined {
  const { start, end } = leafBounds(location);
  const until = verification.readBytes + sliceBytes;
  for (const { key, value } of storage.range({ start: from ?? start, end })) {
    const { id, key: name = '' } = ofTreeKey(Buffer.from(key).toString('latin1', headLength));
    verification.readBytes += key.length + value.length + check(storage, location, id, name, value, verification.bad);
    if (verification.readBytes >= until) return after(key);
  }
  return undefined;
}

/** Bytes that it read. */
function check(
  storage: StorageReader,
  location: ShardLocation,
  id: string,
  key: string,
  bytes: Uint8Array,
  bad: string[],
): number {
  try {
    const leaf = decodeLeaf(bytes);
    if (leaf.kind === 'tombstone') return 0;
    const value = storedValue(storage, location, id, key);
    if (value !== undefined) {
      const register = { stamp: leaf.stamp, type: value.type, value: value.data, expiresAt: value.expiresAt };
      if (Buffer.compare(digestOf(encodeRegister(register)), leaf.digest) === 0) return value.data.length;
    }
  } catch (error) {
    if (!isOaasError(error, 'StorageCorrupt') && !isOaasError(error, 'DataLoss')) throw error;
  }
  if (bad.length < badMax) bad.push(`${id}/${key}`);
  return 0;
}

/** The value of an entry as it is stored. */
export function storedValue(
  storage: StorageReader,
  location: ShardLocation,
  id: string,
  key: string,
): Value | undefined {
  const record = storage.get(metaKey(location, id));
  if (record === undefined) return undefined;
  decodeMeta(record);
  if (hasEntries(record)) return entryOf(record, key);
  const stored = storage.get(entryKey(location, id, key));
  return stored === undefined ? undefined : decodeValue(stored);
}
