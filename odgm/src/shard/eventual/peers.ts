import type { Clock } from '@oaas/commons/time';
import { laterStamp, type ReplicaProgress, type Stamp, zeroStamp } from '../../merge/index.ts';
import type { Key } from '../../merkle/index.ts';
import type { Completion, ReplicaId } from '../../replication/index.ts';
import type { ReplicaStatus } from '../handle.ts';
import { encodePatches, type ObjectPatch, type PatchBytes } from './patch.ts';
import { treeKeyOf } from './records.ts';

type Role = 'voter' | 'learner';

/** Who holds replicas of a shard, as the meta group has recorded it. */
export interface Membership {
  /** Of the shard's record. */
  readonly epoch: number;
  readonly replicas: readonly { readonly member: number; readonly role: Role; readonly epoch: number }[];
}

export interface PeersOptions {
  /** Member number of this replica. */
  readonly self: number;
  readonly clock: Clock;
  readonly membership: Membership;
  readonly isUp: (member: number) => boolean;
  /** False when it cannot go now. */
  readonly send: (member: number, states: Uint8Array) => boolean;
  /** What this replica has of some keys now. */
  readonly take: (keys: readonly Key[], maxBytes: number) => PatchBytes;
}

interface Peer {
  readonly epoch: number;
  role: Role;
  /** See {@link ReplicaProgress}. */
  pulled: Stamp;
  pushed: Stamp;
  /** Epoch of the shard's record that both followed when they last had the same. */
  syncedMembership: number;
  /** Monotonic time of that. */
  syncedAt: number | undefined;
  /** Keys of what could not be sent to it. Undefined: too many, the comparison of trees finds them. */
  hints: Set<Key> | undefined;
}

const maxHints = 16_384;
const hintBytes = 512 * 1024;
const keysAtOnce = 4096;

/**
 * The other replicas of a shard, as one of them knows them: since when each has had the same, and what it has to be sent.
 * What cannot be sent is remembered by its key, in memory and up to a bound (hinted hand-off).
 */
export class Peers {
  readonly #options: PeersOptions;
  readonly #peers = new Map<number, Peer>();
  #membership: Membership;

  /** The others are known with the first {@link configure}. */
  constructor(options: PeersOptions) {
    this.#options = options;
    this.#membership = copyOf(options.membership);
  }

  get membership(): Membership {
    return this.#membership;
  }

  get members(): readonly number[] {
    return [...this.#peers.keys()];
  }

  /** Of this replica; undefined when it is no part of the shard. */
  get ownRole(): Role | undefined {
    return this.#membership.replicas.find(({ member }) => member === this.#options.self)?.role;
  }

  epochOf(member: number): number | undefined {
    return this.#peers.get(member)?.epoch;
  }

  /** False for a record from before the one that is known: it is left alone. */
  configure(membership: Membership): boolean {
    if (membership.epoch < this.#membership.epoch) return false;
    const isNew = membership.epoch > this.#membership.epoch;
    this.#membership = copyOf(membership);
    const others = membership.replicas.filter(({ member }) => member !== this.#options.self);
    for (const { member, epoch, role } of others) {
      const known = this.#peers.get(member);
      if (known?.epoch === epoch) known.role = role;
      else this.#peers.set(member, newPeer(epoch, role));
    }
    // What the others had before they followed this record may still grow by what a former replica sends them.
    if (isNew) for (const peer of this.#peers.values()) peer.pulled = zeroStamp;
    for (const member of this.#peers.keys()) {
      if (!others.some((other) => other.member === member)) this.#peers.delete(member);
    }
    return true;
  }

  /** Notes a comparison that came to its end. True when this replica has all now that the other one announced. */
  completed(from: ReplicaId, { mine, theirs }: Completion): boolean {
    const peer = this.#peers.get(from.member);
    if (peer?.epoch !== from.epoch) return false;
    if (theirs.membership >= this.#membership.epoch) peer.pulled = laterStamp(peer.pulled, theirs.stamp);
    peer.pushed = laterStamp(peer.pushed, mine.stamp);
    const hasRefs = mine.refs === undefined || theirs.refs === undefined || mine.refs === theirs.refs;
    if (hasRefs) {
      peer.syncedMembership = Math.max(peer.syncedMembership, Math.min(mine.membership, theirs.membership));
    }
    peer.syncedAt = this.#options.clock.monotonic();
    if (peer.hints === undefined) peer.hints = new Set();
    return hasRefs;
  }

  progress(): ReplicaProgress[] {
    return [...this.#peers].map(([member, { pulled, pushed }]) => ({ member, pulled, pushed }));
  }

  /** `entries`: how many this replica has. */
  status(entries: number): ReplicaStatus[] {
    const now = this.#options.clock.monotonic();
    return [...this.#peers].map(([member, peer]): ReplicaStatus => {
      const isActive = this.#options.isUp(member);
      const isSynced = this.isSyncedWith(member);
      return {
        ...{ member, role: peer.role, match: 0, isActive },
        state: isSynced && isActive ? 'synced' : 'behind',
        lag: isSynced ? (peer.hints?.size ?? maxHints) : Math.max(1, entries),
        staleMs: peer.syncedAt === undefined ? undefined : Math.round(now - peer.syncedAt),
      };
    });
  }

  /** Milliseconds since this one last had the same as each of them; undefined: that was not the case since the start. */
  get staleMs(): number | undefined {
    const now = this.#options.clock.monotonic();
    let most = 0;
    for (const { syncedAt } of this.#peers.values()) {
      if (syncedAt === undefined) return undefined;
      most = Math.max(most, now - syncedAt);
    }
    return Math.round(most);
  }

  /** Has nothing of the other replica that it lacks been found since the shard has its present replicas, both ways? */
  isSyncedWith(member: number): boolean {
    return (this.#peers.get(member)?.syncedMembership ?? -1) >= this.#membership.epoch;
  }

  /** Sends all what clients changed here, or remembers it. */
  replicate(patches: readonly ObjectPatch[]): void {
    const states = encodePatches(patches);
    for (const [member, peer] of this.#peers) {
      const canGo = peer.hints?.size === 0;
      if (canGo && this.#options.send(member, states)) continue;
      remember(peer, patches);
      if (this.#options.isUp(member)) this.sendHints(member);
    }
  }

  /** Sends what could not be sent before, as it is now. */
  sendHints(member: number): void {
    const hints = this.#peers.get(member)?.hints;
    if (hints === undefined) return;
    while (hints.size > 0) {
      const keys = [...hints].sort().slice(0, keysAtOnce);
      const { states, count } = this.#options.take(keys, hintBytes);
      if (states.length > 0 && !this.#options.send(member, states)) return;
      for (const key of keys.slice(0, count)) hints.delete(key);
    }
  }
}

/** The given one may be changed by its owner. */
function copyOf({ epoch, replicas }: Membership): Membership {
  return { epoch, replicas: [...replicas] };
}

function newPeer(epoch: number, role: Role): Peer {
  return {
    ...{ epoch, role, pulled: zeroStamp, pushed: zeroStamp },
    ...{ syncedMembership: -1, syncedAt: undefined, hints: new Set() },
  };
}

function remember(peer: Peer, patches: readonly ObjectPatch[]): void {
  for (const { id, entries } of patches) {
    peer.hints?.add(id);
    for (const key of entries.keys()) peer.hints?.add(treeKeyOf(id, key));
  }
  if ((peer.hints?.size ?? 0) > maxHints) peer.hints = undefined;
}
