import { mixBits } from './hash.ts';
import type { MoveCause, PlacementMember, PlacementShard, PlacementSnapshot } from './types.ts';

/** A shard while it is planned. Members are positions in {@link GridModel.members}. */
export interface ModelShard {
  readonly source: PlacementShard;
  /** Holders at the start: voters, and what pending moves will make of them. Ascending. */
  readonly original: readonly number[];
  /** Learners that no pending move accounts for. */
  readonly leftovers: readonly number[];
  /** Holders as planned so far. */
  holders: number[];
  readonly originalLeader: number;
  /** -1: none. */
  leader: number;
  /** May this plan change it? */
  readonly movable: boolean;
  /** Has a change under way. */
  readonly pending: boolean;
  /** Why original holders leave. */
  readonly leaveCauses: Map<number, MoveCause>;
  addCause: MoveCause;
  /** Why leadership changes. */
  leaderCause: MoveCause;
}

/**
 * The snapshot as sums that follow each planned change. Everything is sorted at the start, so that a plan does not
 * depend on the order of the input.
 */
export class GridModel {
  readonly members: readonly PlacementMember[];
  readonly shards: readonly ModelShard[];
  /** Positions of members that are up, ascending. */
  readonly up: readonly number[];
  readonly isUp: readonly boolean[];
  readonly zones: Int32Array;
  readonly zoneCount: number;
  readonly capacity: Float64Array;
  readonly replicaCounts: Int32Array;
  readonly leaderCounts: Int32Array;
  readonly bytes: Float64Array;
  readonly ops: Float64Array;
  /** Shards on each member, in the order in which they came. */
  readonly held: readonly Set<number>[];
  readonly led: readonly Set<number>[];
  /** Called around each change of holders: before with -1, after with +1. */
  onHolders: ((shard: number, sign: 1 | -1) => void) | undefined;

  constructor(snapshot: PlacementSnapshot) {
    this.members = withUnknownMembers(snapshot);
    const positions = new Map(this.members.map(({ number }, position) => [number, position]));
    const zoneNames = [...new Set(this.members.map(({ zone }) => zone))];
    const count = this.members.length;
    this.zones = Int32Array.from(this.members, ({ zone }) => zoneNames.indexOf(zone));
    this.zoneCount = zoneNames.length;
    this.isUp = this.members.map(({ state }) => state === 'up');
    this.up = this.members.flatMap(({ state }, position) => (state === 'up' ? [position] : []));
    this.capacity = Float64Array.from(this.members, ({ capacityBytes }) => capacityBytes ?? Infinity);
    this.bytes = Float64Array.from(this.members, ({ load }) => load?.bytes ?? 0);
    this.ops = Float64Array.from(this.members, ({ load }) => load?.ops ?? 0);
    this.replicaCounts = new Int32Array(count);
    this.leaderCounts = new Int32Array(count);
    this.held = this.members.map(() => new Set());
    this.led = this.members.map(() => new Set());
    this.shards = readShards(snapshot, positions);
    this.shards.forEach((shard, index) => {
      for (const member of shard.holders) this.#count(index, member, 1);
      if (shard.leader >= 0) this.#countLeader(index, shard.leader, 1);
    });
  }

  /** Replicas of the shard in the zone. */
  inZone(shard: ModelShard, zone: number): number {
    let count = 0;
    for (const member of shard.holders) if (this.zones[member] === zone) count++;
    return count;
  }

  /** Whether `to` may take the place of `from` without making zones more uneven. Capacity apart. */
  keepsZones(shard: ModelShard, from: number, to: number): boolean {
    const source = this.zones[from] ?? 0;
    const target = this.zones[to] ?? 0;
    return source === target || this.inZone(shard, target) + 1 <= this.inZone(shard, source);
  }

  fits(shard: ModelShard, member: number): boolean {
    return (this.bytes[member] ?? 0) + shard.source.bytes <= (this.capacity[member] ?? 0);
  }

  /** Changes the holders: `from` or `to` may be -1. */
  replace(index: number, from: number, to: number, cause: MoveCause): void {
    const shard = this.shards[index];
    if (shard === undefined) return;
    this.onHolders?.(index, -1);
    if (from >= 0) {
      shard.holders = shard.holders.filter((member) => member !== from);
      this.#count(index, from, -1);
      if (!shard.leaveCauses.has(from)) shard.leaveCauses.set(from, cause);
    }
    if (to >= 0) {
      shard.holders.push(to);
      this.#count(index, to, 1);
      if (from < 0) shard.addCause = cause;
    }
    this.onHolders?.(index, 1);
  }

  lead(index: number, member: number, cause: MoveCause): void {
    const shard = this.shards[index];
    if (shard === undefined) return;
    if (shard.leader === shard.originalLeader) shard.leaderCause = cause;
    if (shard.leader >= 0) this.#countLeader(index, shard.leader, -1);
    shard.leader = member;
    if (member >= 0) this.#countLeader(index, member, 1);
  }

  /** Spreads choices among equals, so that the same members do not always share shards. */
  tieBreak(shard: ModelShard, member: number): number {
    return mixBits(Math.imul(shard.source.id, 0x9e3779b1) ^ Math.imul(this.members[member]?.number ?? 0, 0x85ebca6b));
  }

  #count(index: number, member: number, sign: 1 | -1): void {
    this.replicaCounts[member] = (this.replicaCounts[member] ?? 0) + sign;
    const source = this.shards[index]?.source;
    this.bytes[member] = (this.bytes[member] ?? 0) + sign * (source?.bytes ?? 0);
    const share = source?.leaderless === true ? source.ops / Math.max(1, source.wantedReplicas) : 0;
    this.ops[member] = (this.ops[member] ?? 0) + sign * share;
    if (sign > 0) this.held[member]?.add(index);
    else this.held[member]?.delete(index);
  }

  #countLeader(index: number, member: number, sign: 1 | -1): void {
    this.leaderCounts[member] = (this.leaderCounts[member] ?? 0) + sign;
    this.ops[member] = (this.ops[member] ?? 0) + sign * (this.shards[index]?.source.ops ?? 0);
    if (sign > 0) this.led[member]?.add(index);
    else this.led[member]?.delete(index);
  }
}

/** Members that only replicas name are gone: they count as down. */
function withUnknownMembers(snapshot: PlacementSnapshot): PlacementMember[] {
  const known = new Map(snapshot.members.map((member) => [member.number, member]));
  for (const { replicas } of snapshot.shards) {
    for (const { member } of replicas) {
      if (!known.has(member)) known.set(member, { number: member, id: '', zone: '', state: 'down' });
    }
  }
  for (const { to } of snapshot.pending ?? []) {
    if (to !== undefined && !known.has(to)) known.set(to, { number: to, id: '', zone: '', state: 'down' });
  }
  return [...known.values()].sort((a, b) => a.number - b.number);
}

function readShards(snapshot: PlacementSnapshot, positions: ReadonlyMap<number, number>): ModelShard[] {
  const collections = snapshot.options.collections === undefined ? undefined : new Set(snapshot.options.collections);
  const pending = new Map<number, { from: number; to: number }[]>();
  for (const { shard, from, to } of snapshot.pending ?? []) {
    const change = { from: positions.get(from ?? 0) ?? -1, to: positions.get(to ?? 0) ?? -1 };
    pending.set(shard, [...(pending.get(shard) ?? []), change]);
  }
  const positionsOf = (source: PlacementShard, role: 'voter' | 'learner'): number[] =>
    source.replicas.filter((replica) => replica.role === role).map(({ member }) => positions.get(member) ?? -1);
  return [...snapshot.shards]
    .sort((a, b) => a.id - b.id)
    .map((source) => {
      const changes = pending.get(source.id);
      const holders = new Set(positionsOf(source, 'voter'));
      for (const { from, to } of changes ?? []) {
        holders.delete(from);
        if (to >= 0) holders.add(to);
      }
      const original = [...holders].sort((a, b) => a - b);
      const leader = source.leaderless === true ? -1 : (positions.get(source.leader ?? 0) ?? -1);
      return {
        source,
        original,
        leftovers: changes === undefined ? positionsOf(source, 'learner').sort((a, b) => a - b) : [],
        holders: [...original],
        originalLeader: leader,
        leader: holders.has(leader) ? leader : -1,
        movable: changes === undefined && (collections?.has(source.collection) ?? true),
        pending: changes !== undefined,
        leaveCauses: new Map(),
        addCause: 'replica-count',
        leaderCause: 'leader-balance',
      };
    });
}
