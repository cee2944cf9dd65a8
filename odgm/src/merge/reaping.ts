import { encodeMap } from './crdt-map.ts';
import { headerStamp, isAlive } from './header.ts';
import { mapOf, tombstoneOf } from './register.ts';
import { compareStamps, earlierStamp, laterStamp, type Stamp, zeroStamp } from './stamp.ts';
import type { ObjectHeader, Register } from './types.ts';

/** Tombstones younger than this stay, so that messages and hints under way have gone. */
export const defaultGraceMs = 10 * 60 * 1000;

/**
 * What this replica knows about another one. Both stamps come from complete exchanges: a side takes a stamp from its clock
 * (`tick`) and announces its root with it; the exchange ends when the receiver has merged all of that root.
 */
export interface ReplicaProgress {
  readonly member: number;
  /** We hold all that this replica held when its clock said so. Zero: never. */
  readonly pulled: Stamp;
  /** It holds all that we held when our clock said so. Zero: never. */
  readonly pushed: Stamp;
}

/** To be stored. */
export interface ReapingState {
  /** Every replica has, and has merged, whatever was stamped up to here. Tombstones up to here may go. */
  readonly cut: Stamp;
  /** The next cut: complete here when our clock said `at`, not yet known to be complete everywhere. */
  readonly candidate: { readonly cut: Stamp; readonly at: Stamp } | undefined;
}

export const initialReaping: ReapingState = { cut: zeroStamp, candidate: undefined };

/**
 * Moves the cut on when that is safe, in two rounds of exchanges. First a candidate: the earliest of what all replicas'
 * clocks said when we had taken over their state, less the time of grace. All that is stamped up to it anywhere is here
 * then, and no new write can be stamped so early; nor does a replica let in what is so old from a former one. The candidate becomes the cut when every replica has taken over a state of ours that is as late
 * as the candidate: then all of it is everywhere. A replica that is away holds the cut up until it is back, or is replaced.
 *
 * `others`: all other replicas of the shard, also those that never answered. `now`: a tick of this replica's clock.
 */
export function advanceReaping(
  state: ReapingState,
  others: readonly ReplicaProgress[],
  now: Stamp,
  graceMs: number = defaultGraceMs,
): ReapingState {
  const { candidate } = state;
  if (candidate !== undefined) {
    const isEverywhere = others.every(({ pushed }) => compareStamps(pushed, candidate.at) >= 0);
    return isEverywhere ? { cut: laterStamp(state.cut, candidate.cut), candidate: undefined } : state;
  }
  const known = others.reduce((earliest, { pulled }) => earlierStamp(earliest, pulled), now);
  const cut: Stamp = { ms: Math.max(0, known.ms - graceMs), counter: 0, member: 0 };
  return compareStamps(cut, state.cut) > 0 ? { cut: state.cut, candidate: { cut, at: now } } : state;
}

/**
 * Takes over the cut that another replica announced with its root, before the two compare trees: otherwise the
 * tombstones that it has reaped would come back as news. Only for a replica that has been part of the shard since before
 * that cut; one that joins takes the cut together with its first complete exchange. The clock must observe the cut.
 */
export function adoptCut(state: ReapingState, cut: Stamp): ReapingState {
  return compareStamps(cut, state.cut) > 0 ? { ...state, cut } : state;
}

/** True for a tombstone that every replica has. */
export function isReapable(register: Register, cut: Stamp): boolean {
  return register.value === undefined && compareStamps(register.stamp, cut) <= 0;
}

/** True for the header of a deleted object that every replica has. */
export function isHeaderReapable(header: ObjectHeader, cut: Stamp): boolean {
  return !isAlive(header) && compareStamps(headerStamp(header), cut) <= 0;
}

/** A map without the tombstones in it that every replica has; the same register when there are none. */
export function reapMap(register: Register, cut: Stamp): Register {
  const map = mapOf(register);
  if (map === undefined) return register;
  const kept = [...map.elements].filter(([, { stamp, value }]) => value !== undefined || compareStamps(stamp, cut) > 0);
  if (kept.length === map.elements.size) return register;
  return { ...register, value: encodeMap({ ...map, elements: new Map(kept) }) };
}

/**
 * What may be merged of a register that came from elsewhere; `undefined` when nothing. Up to the cut every replica has had
 * everything: what is older and not here was taken away, and its tombstone is reaped. A late message or a hint would
 * bring it back.
 */
export function admitRegister(incoming: Register, held: Register | undefined, cut: Stamp): Register | undefined {
  if (held === undefined && compareStamps(incoming.stamp, cut) <= 0) return undefined;
  const map = mapOf(incoming);
  if (map === undefined) return incoming;
  const here = held === undefined ? undefined : mapOf(held);
  const news = [...map.elements].filter(([key, { stamp }]) => compareStamps(stamp, cut) > 0 || here?.elements.has(key));
  if (news.length === map.elements.size) return incoming;
  return { ...incoming, value: encodeMap({ ...map, elements: new Map(news) }) };
}

/**
 * The tombstone, reaped since, of what {@link admitRegister} lets in no more of a map, to be merged with the rest: else
 * the replica that the map came from would keep what this one has not. That happens with maps that expire, since each
 * replica takes those away when its own clock says so: one may forget a map while another one still writes to it.
 * Undefined when no value was kept out, and where what stays is older than that: then it was taken away by itself.
 *
 * Only for what comes from a replica of the shard: `cut` must be that up to which every replica had everything.
 */
export function reapedOf(incoming: Register, held: Register | undefined, cut: Stamp): Register | undefined {
  const map = mapOf(incoming);
  const here = held === undefined ? undefined : mapOf(held);
  if (map === undefined || (held !== undefined && here === undefined)) return undefined;
  let last: Stamp | undefined;
  let earliest = held?.stamp ?? incoming.stamp;
  for (const [key, { stamp, value }] of map.elements) {
    const isKeptOut = compareStamps(stamp, cut) <= 0 && here?.elements.has(key) !== true;
    if (!isKeptOut) earliest = earlierStamp(earliest, stamp);
    else if (value !== undefined) last = laterStamp(last ?? stamp, stamp);
  }
  for (const { stamp } of here?.elements.values() ?? []) earliest = earlierStamp(earliest, stamp);
  return last === undefined || compareStamps(earliest, last) <= 0 ? undefined : tombstoneOf(last);
}

/** As {@link admitRegister}, for the header of an object. */
export function admitsHeader(incoming: ObjectHeader, held: ObjectHeader | undefined, cut: Stamp): boolean {
  return held !== undefined || compareStamps(headerStamp(incoming), cut) > 0;
}
