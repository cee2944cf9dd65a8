import { decodeRecord } from '../src/replication/group-record.ts';
import { type ReplicaRecord, readRecords } from '../src/replication/eventual/record.ts';
import { groupOfRecordKey, recordKey, recordsPrefix } from '../src/replication/keys.ts';
import type { StorageReader, WriteOperation } from '../src/storage/index.ts';

/** A write that takes a group's replica away for good. */
export interface Removal {
  readonly group: number;
  readonly epoch: number;
}

/** Replicas that merge, as stored and not removed yet. */
export function mergingReplicasIn(storage: StorageReader): ReplicaRecord[] {
  return readRecords(storage).filter(({ state }) => state === 'present');
}

/** The replicas that these operations, about to be written, take away. */
export function removalsIn(storage: StorageReader, operations: readonly WriteOperation[]): Removal[] {
  const removals: Removal[] = [];
  for (const operation of operations) {
    if (operation.type !== 'put' || !startsWith(operation.key, recordsPrefix)) continue;
    const group = groupOfRecordKey(operation.key);
    const before = storage.get(recordKey(group));
    if (before === undefined || decodeRecord(before).state !== 'present') continue;
    if (decodeRecord(operation.value).state === 'removed') removals.push({ group, epoch: decodeRecord(before).epoch });
  }
  return removals;
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return key.length > prefix.length && prefix.every((byte, i) => key[i] === byte);
}
