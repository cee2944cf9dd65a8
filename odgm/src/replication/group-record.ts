import { oaasError } from '@oaas/commons/errors';
import type { ConfState } from '../raft/index.ts';
import { Reader, Writer } from './wire.ts';

const format = 1;

/** What a node stores of a group beside its log and its state; written together with the state, so that both agree. */
export interface GroupRecord {
  /** `removed`: the replica is gone; kept so that a late message does not bring it back. */
  readonly state: 'present' | 'removed';
  readonly epoch: number;
  readonly generation: number;
  /** Last entry that the state contains. */
  readonly applied: number;
  readonly appliedTerm: number;
  readonly members: MembersRecord;
}

/** The configuration as of the applied index. */
export interface MembersRecord {
  readonly confState: ConfState;
  /** Epochs of members' replicas that are not 1. */
  readonly epochs: ReadonlyMap<number, number>;
}

export const noMembers: MembersRecord = {
  confState: { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
  epochs: new Map(),
};

/** The part of the record that changes with the members only. */
export function encodeMembers(members: MembersRecord): Buffer {
  const { confState, epochs } = members;
  const lists = [confState.voters, confState.learners, confState.votersOutgoing, confState.learnersNext];
  const writer = new Writer(16 + 8 * lists.reduce((sum, list) => sum + list.length, epochs.size * 2) + 8 * 5);
  for (const list of lists) {
    writer.number(list.length);
    for (const member of list) writer.number(member);
  }
  writer.u8(confState.autoLeave ? 1 : 0);
  writer.number(epochs.size);
  for (const [member, epoch] of epochs) {
    writer.number(member);
    writer.number(epoch);
  }
  return writer.finish();
}

export function decodeMembers(reader: Reader): MembersRecord {
  const list = (): number[] => Array.from({ length: reader.number() }, () => reader.number());
  const confState = {
    voters: list(),
    learners: list(),
    votersOutgoing: list(),
    learnersNext: list(),
    autoLeave: reader.u8() === 1,
  };
  const epochs = new Map<number, number>();
  for (let left = reader.number(); left > 0; left--) epochs.set(reader.number(), reader.number());
  return { confState, epochs };
}

const headLength = 26;

export function encodeRecord(record: Omit<GroupRecord, 'members'>, members: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(headLength + members.length);
  bytes[0] = format;
  bytes[1] = record.state === 'present' ? 1 : 2;
  bytes.writeUInt32BE(record.epoch, 2);
  bytes.writeUInt32BE(record.generation, 6);
  bytes.writeDoubleBE(record.applied, 10);
  bytes.writeDoubleBE(record.appliedTerm, 18);
  bytes.set(members, headLength);
  return bytes;
}

/** Throws `StorageCorrupt`. */
export function decodeRecord(bytes: Uint8Array): GroupRecord {
  const reader = new Reader(bytes);
  if (bytes.length < headLength || bytes[0] !== format) {
    throw oaasError('StorageCorrupt', 'the record of a group has an unknown format', {
      remedy: 'Run the version that wrote the data directory, or restore it from a backup.',
    });
  }
  const head = reader.raw(headLength);
  return {
    state: head[1] === 1 ? 'present' : 'removed',
    epoch: head.readUInt32BE(2),
    generation: head.readUInt32BE(6),
    applied: head.readDoubleBE(10),
    appliedTerm: head.readDoubleBE(18),
    members: decodeMembers(reader),
  };
}
