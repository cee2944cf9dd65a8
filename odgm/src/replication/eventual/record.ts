import { oaasError } from '@oaas/commons/errors';
import { prefixEnd, type StorageReader, type WriteOperation } from '../../storage/index.ts';
import { bufferOf } from '../keys.ts';

/** What a node stores of a replica beside its content. */
export interface ReplicaRecord {
  readonly shard: number;
  /** `removed`: it is gone; kept so that it does not come back. */
  readonly state: 'present' | 'removed';
  readonly epoch: number;
  readonly generation: number;
  /** It began with the shard, empty; any other one has to take over what the others have first. */
  readonly isFounder: boolean;
}

/** Six bytes 0xff, which are no shard, and a letter of its own. */
const prefix = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x4d]);
const format = 1;
const length = 11;

function keyOf(shard: number): Buffer {
  const key = Buffer.alloc(prefix.length + 6);
  key.set(prefix);
  key.writeUIntBE(shard, prefix.length, 6);
  return key;
}

/** Format (u8), state (u8: 1 present, 2 removed), epoch (u32), generation (u32), founder (u8). Big-endian. */
export function writeRecord({ shard, state, epoch, generation, isFounder }: ReplicaRecord): WriteOperation {
  const value = Buffer.alloc(length);
  value[0] = format;
  value[1] = state === 'present' ? 1 : 2;
  value.writeUInt32BE(epoch, 2);
  value.writeUInt32BE(generation, 6);
  value[10] = isFounder ? 1 : 0;
  return { type: 'put', key: keyOf(shard), value };
}

/** Throws `StorageCorrupt`. */
export function readRecord(storage: StorageReader, shard: number): ReplicaRecord | undefined {
  const value = storage.get(keyOf(shard));
  return value === undefined ? undefined : recordOf(shard, value);
}

/** Throws `StorageCorrupt`. */
export function readRecords(storage: StorageReader): ReplicaRecord[] {
  return Array.from(storage.range({ start: prefix, end: prefixEnd(prefix) }), ({ key, value }) =>
    recordOf(bufferOf(key).readUIntBE(prefix.length, 6), value),
  );
}

function recordOf(shard: number, bytes: Uint8Array): ReplicaRecord {
  const value = bufferOf(bytes);
  if (value.length !== length || value[0] !== format) {
    throw oaasError('StorageCorrupt', 'the record of a replica has an unknown format', {
      remedy: 'Run the version that wrote the data directory, or restore it from a backup.',
      details: { shard },
    });
  }
  return {
    shard,
    state: value[1] === 1 ? 'present' : 'removed',
    epoch: value.readUInt32BE(2),
    generation: value.readUInt32BE(6),
    isFounder: value[10] === 1,
  };
}
