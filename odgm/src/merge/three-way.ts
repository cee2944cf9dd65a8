import { compareValues } from './crdt-map.ts';
import { isAlive } from './header.ts';
import { mapOf, mergeRegisters, type RegisterWrite } from './register.ts';
import { compareStamps, laterStamp, type Stamp, zeroStamp } from './stamp.ts';
import type { ObjectHeader, Register, ValueType } from './types.ts';

/**
 * What to do where both sides changed an entry, and in different ways. `latest`: the side whose write was accepted later.
 * `list`: leave ours as it is, and say so; whoever asked decides.
 */
export type MergePolicy = 'ours' | 'theirs' | 'latest' | 'list';

/** One of three states of something. Absent: it is not there. */
export interface ThreeWay<T> {
  readonly base: T | undefined;
  readonly ours: T | undefined;
  readonly theirs: T | undefined;
}

export interface ObjectThreeWay {
  readonly objectId: string;
  readonly header: ThreeWay<ObjectHeader>;
  /** Every entry that theirs changed since the base, taken away ones too. Others are not asked for and stay. */
  readonly entries: ReadonlyMap<string, ThreeWay<Register>>;
  /** Entries of ours that are there, tombstones not counted. */
  readonly ourEntryCount: number;
}

export interface MergedValue {
  readonly type: ValueType;
  readonly value: Uint8Array;
  readonly expiresAt: number | undefined;
}

/** Both sides changed the same thing in different ways. Absent values: that side took it away, or never had it. */
export interface MergeConflict extends ThreeWay<MergedValue> {
  readonly objectId: string;
  /** Absent: the triggers of the object. */
  readonly key: string | undefined;
}

/** What to write into ours, as one batch for one object. */
export interface ObjectMerge {
  readonly objectId: string;
  /** 'delete': the object goes. 'change': `put`, `remove` and `event` apply; the object is made when it is not there. */
  readonly outcome: 'none' | 'change' | 'delete';
  readonly put: ReadonlyMap<string, RegisterWrite>;
  readonly remove: readonly string[];
  /** Absent: as it is, also where theirs took the triggers away, as a batch can only set them. */
  readonly event: Uint8Array | undefined;
  /** With policy `list`, not resolved; with another one, resolved by it. */
  readonly conflicts: readonly MergeConflict[];
}

/**
 * Merges what theirs changed in one object since the base into ours. Changed on one side: that side. Changed on both
 * sides to the same: nothing to do. Changed on both sides to different values: maps in our format merge by key; all else
 * is a conflict, for the policy. The object goes when theirs deleted it and nothing of ours is left in it.
 *
 * Its result is written with a new stamp, as any batch: a merge is a write.
 */
export function mergeObject(object: ObjectThreeWay, policy: MergePolicy): ObjectMerge {
  const { objectId, header } = object;
  const put = new Map<string, RegisterWrite>();
  const remove: string[] = [];
  const conflicts: MergeConflict[] = [];
  let entryCount = object.ourEntryCount;

  for (const [key, entry] of object.entries) {
    const decision = decide(entry, header, policy);
    if (decision.isConflict) {
      const { base, ours, theirs } = entry;
      conflicts.push({ objectId, key, base: valueOf(base), ours: valueOf(ours), theirs: valueOf(theirs) });
    }
    if (decision.write === undefined) continue;
    const had = entry.ours?.value !== undefined;
    if (decision.write.value === undefined) {
      if (had) remove.push(key);
      entryCount -= had ? 1 : 0;
    } else {
      put.set(key, decision.write);
      entryCount += had ? 0 : 1;
    }
  }

  const event = decide(eventsOf(header), header, policy);
  if (event.isConflict) {
    const events = eventsOf(header);
    const [base, ours, theirs] = [valueOf(events.base), valueOf(events.ours), valueOf(events.theirs)];
    conflicts.push({ objectId, key: undefined, base, ours, theirs });
  }
  const isDeleted = isAlive(header.base) && isAlive(header.ours) && !isAlive(header.theirs);
  const isCreated = isAlive(header.theirs) && !isAlive(header.ours) && !isAlive(header.base);
  const isLeft = entryCount > 0 || (event.isConflict && event.write === undefined);
  const isChanged = put.size > 0 || remove.length > 0 || isCreated || event.write?.value !== undefined;
  const outcome = isDeleted && !isLeft ? 'delete' : isChanged ? 'change' : 'none';
  return { objectId, outcome, put, remove, event: event.write?.value, conflicts };
}

interface Decision {
  /** Absent: ours stays. */
  readonly write: RegisterWrite | undefined;
  readonly isConflict: boolean;
}

const keepOurs: Decision = { write: undefined, isConflict: false };

function decide(
  { base, ours, theirs }: ThreeWay<Register>,
  header: ThreeWay<ObjectHeader>,
  policy: MergePolicy,
): Decision {
  if (isSame(base, theirs) || isSame(ours, theirs)) return keepOurs;
  const take = { type: theirs?.type ?? 'bytes', value: theirs?.value, expiresAt: theirs?.expiresAt };
  if (isSame(base, ours)) return { write: take, isConflict: false };
  if (ours !== undefined && theirs !== undefined && mapOf(ours) !== undefined && mapOf(theirs) !== undefined) {
    const { type, value, expiresAt } = mergeRegisters(ours, theirs);
    return { write: { type, value, expiresAt }, isConflict: false };
  }
  switch (policy) {
    case 'ours':
    case 'list':
      return { write: undefined, isConflict: true };
    case 'theirs':
      return { write: take, isConflict: true };
    case 'latest': {
      const isTheirs = compareStamps(stampOf(ours, header.ours), stampOf(theirs, header.theirs)) < 0;
      return { write: isTheirs ? take : undefined, isConflict: true };
    }
  }
}

/** Where there is no register, the delete or Set that took it away. */
function stampOf(register: Register | undefined, header: ObjectHeader | undefined): Stamp {
  if (register !== undefined) return register.stamp;
  return header === undefined ? zeroStamp : laterStamp(header.cleared, header.deleted);
}

function eventsOf(header: ThreeWay<ObjectHeader>): ThreeWay<Register> {
  const eventOf = (side: ObjectHeader | undefined): Register | undefined =>
    side?.event === undefined ? undefined : { type: 'bytes', ...side.event };
  return { base: eventOf(header.base), ours: eventOf(header.ours), theirs: eventOf(header.theirs) };
}

function isSame(a: Register | undefined, b: Register | undefined): boolean {
  const [x, y] = [valueOf(a), valueOf(b)];
  return x?.type === y?.type && x?.expiresAt === y?.expiresAt && compareValues(x?.value, y?.value) === 0;
}

function valueOf(register: Register | undefined): MergedValue | undefined {
  if (register?.value === undefined) return undefined;
  return { type: register.type, value: register.value, expiresAt: register.expiresAt };
}
