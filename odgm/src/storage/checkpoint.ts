import type { BaseChange } from './base.ts';
import { bufferOf } from './bytes.ts';
import type { HardState, LogPosition } from './engine.ts';
import { checksumLength, seal, unseal } from './values.ts';
import type { StoredEntry } from './port.ts';

/**
 * What the base says about the journal: everything up to and with frame `sequence` is in the base, as far as keys and
 * values go. Frames behind it have to be replayed. Log entries are never in the base.
 */
export interface Checkpoint {
  /** Segment of the frame, and of the oldest one that is still needed. */
  readonly segment: number;
  readonly firstSegment: number;
  readonly sequence: number;
  /** Number of the first frame in `firstSegment`. */
  readonly firstSequence: number;
}

/** A group's log as of a checkpoint. */
export interface GroupRecord {
  readonly group: number;
  readonly truncated: LogPosition;
  readonly hardState: HardState;
  readonly last: number;
}

/** Version of everything that is stored, written with each checkpoint. */
const format = 1;
const checkpointKey = Buffer.from('checkpoint');
const groupPrefix = 0x67;

export interface StoredState {
  readonly checkpoint: Checkpoint | undefined;
  readonly groups: Map<number, GroupRecord>;
  /** Of a store of another version. */
  readonly foreignFormat: number | undefined;
}

export function checkpointChange({ segment, firstSegment, sequence, firstSequence }: Checkpoint): BaseChange {
  return {
    key: checkpointKey,
    value: numbers(checkpointKey, [format, segment, firstSegment, sequence, firstSequence]),
  };
}

export function groupChange({ group, truncated, hardState, last }: GroupRecord): BaseChange {
  const { term, vote, commit } = hardState;
  const key = groupKey(group);
  return { key, value: numbers(key, [truncated.index, truncated.term, term, vote, commit, last]) };
}

export function groupRemoval(group: number): BaseChange {
  return { key: groupKey(group), value: undefined };
}

/** Throws `StorageCorrupt`. */
export function readState(meta: Iterable<StoredEntry>): StoredState {
  const groups = new Map<number, GroupRecord>();
  let checkpoint: Checkpoint | undefined;
  let foreignFormat: number | undefined;
  for (const { key, value } of meta) {
    const stored = bufferOf(unseal(key, value));
    const at = (i: number): number => stored.readDoubleLE(i * 8);
    if (checkpointKey.equals(key)) {
      if (at(0) !== format) foreignFormat = at(0);
      else checkpoint = { segment: at(1), firstSegment: at(2), sequence: at(3), firstSequence: at(4) };
    } else if (key[0] === groupPrefix && key.length === 9) {
      const group = Buffer.from(key).readDoubleBE(1);
      const hardState = { term: at(2), vote: at(3), commit: at(4) };
      groups.set(group, { group, truncated: { index: at(0), term: at(1) }, hardState, last: at(5) });
    }
  }
  return { checkpoint, groups, foreignFormat };
}

function groupKey(group: number): Buffer {
  const key = Buffer.alloc(9);
  key[0] = groupPrefix;
  key.writeDoubleBE(group, 1);
  return key;
}

function numbers(key: Buffer, values: readonly number[]): Buffer {
  const plain = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => {
    plain.writeDoubleLE(value, i * 8);
  });
  const sealed = Buffer.alloc(plain.length + checksumLength);
  seal(key, plain, sealed, 0);
  return sealed;
}
