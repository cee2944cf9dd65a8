import { toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Clock, Timer, Timers } from '@oaas/commons/time';
import type { Mesh } from '../mesh/index.ts';
import { hasLostMajority } from './alarms.ts';
import { planPlacement } from '../placement/index.ts';
import type { MemberChange } from '../replication/index.ts';
import type { MetaGroup } from './group.ts';
import { metaShard } from './state.ts';
import type { MemberRecord, MetaState } from './types.ts';
import { placementSnapshot, type ShardLoad } from './view.ts';
import { wantedVoters } from './voters.ts';

export interface DutiesOptions {
  readonly meta: MetaGroup;
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Nodes that configuration lists: first places are given when so many members are up, or after `settleMs`. */
  readonly expectedMembers: number;
  /** What is known of the load of shards. */
  readonly loads: () => ReadonlyMap<number, ShardLoad>;
  /** Default 3,000 ms. */
  readonly silenceMs?: number | undefined;
  /** Default 10,000 ms. */
  readonly settleMs?: number | undefined;
}

const lookMs = 200;
/** Shards that get their first place by one command. */
const assignmentsMax = 1000;

/**
 * What the leader of the meta group does all the time: notes who is up and who is down, keeps the meta group itself
 * replicated, and gives new shards their first place. Each look does what the state asks for, so it does not matter
 * where an earlier leader stopped.
 */
export class MetaDuties {
  readonly #options: DutiesOptions;
  readonly #silenceMs: number;
  readonly #settleMs: number;
  readonly #timer: Timer;
  readonly #unsubscribe: () => void;
  #isLooking = false;
  #lookAgain = false;
  #isClosed = false;
  /** When this member began to lead; silence before does not count. */
  #leadsSince: number | undefined;
  #problem = '';

  constructor(options: DutiesOptions) {
    this.#options = options;
    this.#silenceMs = options.silenceMs ?? 3000;
    this.#settleMs = options.settleMs ?? 10_000;
    this.#timer = options.timers.every(lookMs, () => void this.#look());
    this.#unsubscribe = options.meta.onChange(() => void this.#look());
  }

  close(): void {
    this.#isClosed = true;
    this.#timer.cancel();
    this.#unsubscribe();
  }

  async #look(): Promise<void> {
    const { meta, clock, logger } = this.#options;
    if (this.#isLooking) {
      this.#lookAgain = true;
      return;
    }
    this.#isLooking = true;
    try {
      do {
        this.#lookAgain = false;
        this.#leadsSince = meta.isLeader ? (this.#leadsSince ?? clock.monotonic()) : undefined;
        if (this.#leadsSince === undefined || meta.state.cluster === undefined) return;
        // A new leader has yet to apply what its log holds; a decision about an older state would only be refused.
        await meta.catchUp();
        await this.#noteStates();
        if (await this.#handsOver()) return;
        await this.#keepReplicated();
        await this.#giveFirstPlaces();
        await this.#foundAnew();
        this.#problem = '';
      } while (this.#hasToLookAgain());
    } catch (thrown) {
      const error = toOaasError(thrown);
      // The next look tries again; one line per problem is enough.
      if (error.message !== this.#problem) logger.warn({ err: error }, 'a duty of the meta group has to wait');
      this.#problem = error.message;
    } finally {
      this.#isLooking = false;
    }
  }

  #hasToLookAgain(): boolean {
    return this.#lookAgain && !this.#isClosed;
  }

  async #noteStates(): Promise<void> {
    const { meta, mesh, clock, logger } = this.#options;
    const now = clock.monotonic();
    const downSince = new Map(
      mesh.peers().flatMap(({ number, state, since }) => (state === 'up' ? [] : [[number, since] as const])),
    );
    for (const member of [...meta.state.members.values()]) {
      if (member.replacedBy !== undefined) continue;
      const since = downSince.get(member.number);
      const silentSince = since === undefined ? undefined : Math.max(since, this.#leadsSince ?? now);
      if (silentSince === undefined) {
        if (member.state !== 'down') continue;
        logger.info({ member: member.id }, 'member is back');
        await meta.propose({ type: 'setMemberState', member: member.number, state: 'up' });
      } else if (member.state !== 'down' && now - silentSince >= this.#silenceMs) {
        logger.warn({ member: member.id, silentMs: Math.round(now - silentSince) }, 'member is down');
        await meta.propose({ type: 'setMemberState', member: member.number, state: 'down' });
      }
    }
  }

  /** All members have the meta state; `metaReplicas` of them vote on it. One change at a time. */
  async #keepReplicated(): Promise<void> {
    const { meta, logger } = this.#options;
    const { voters, learners, votersOutgoing } = meta.group.confState;
    if (votersOutgoing.length > 0) return;
    const wanted = this.#wantedVoters(voters);
    const members = [...meta.state.members.values()].filter(({ replacedBy }) => replacedBy === undefined);
    const present = new Set([...voters, ...learners]);
    const changes: MemberChange[] = [];
    for (const { number } of members) {
      if (!present.has(number)) changes.push({ type: 'learner', member: number });
    }
    if (changes.length === 0) {
      for (const member of wanted) if (!voters.includes(member)) changes.push({ type: 'voter', member });
      for (const member of voters) {
        if (!wanted.includes(member)) changes.push({ type: 'learner', member });
      }
    }
    if (changes.length === 0) {
      const known = new Set(members.map(({ number }) => number));
      for (const member of learners) if (!known.has(member)) changes.push({ type: 'remove', member });
    }
    if (changes.length > 0) {
      logger.info({ changes: changes.map(({ type, member }) => `${type} ${String(member)}`) }, 'meta group changes');
      await meta.group.changeMembers(changes, new Uint8Array(0));
    }
    await this.#recordReplicas();
  }

  /** A leader that is drained leaves the lead to another voter, which takes its vote away. */
  async #handsOver(): Promise<boolean> {
    const { meta, mesh, logger } = this.#options;
    const { members } = meta.state;
    const own = members.get(mesh.self.number);
    if (own === undefined || !isLeaving(own)) return false;
    const { voters } = meta.group.confState;
    const successor = voters.find((voter) => members.get(voter)?.state === 'up' && this.#hasCaughtUp(voter));
    if (successor === undefined) return false;
    try {
      await meta.group.transferLeadership(successor);
    } catch (error) {
      // The next look tries again; the other duties do not wait for that.
      logger.debug({ err: error }, 'the meta group could not be handed over');
      return false;
    }
    logger.info({ to: members.get(successor)?.id }, 'another member leads the meta group: this one is drained');
    return true;
  }

  #wantedVoters(voters: readonly number[]): number[] {
    const { meta, mesh } = this.#options;
    const { members, shards } = meta.state;
    const holders = new Set<number>();
    for (const { id, replicas } of shards.values()) {
      // There may be thousands of shards, and this is asked several times a second: mostly the first few say it all.
      if (holders.size >= members.size) break;
      if (id !== metaShard) for (const { member } of replicas) if (members.has(member)) holders.add(member);
    }
    return wantedVoters({
      count: shards.get(metaShard)?.wanted ?? 1,
      self: mesh.self.number,
      voters,
      members: [...members.values()].map((member) => ({
        number: member.number,
        isGone: meta.isGone(member),
        isLeaving: isLeaving(member),
        holdsReplicas: holders.has(member.number),
        isUp: member.state === 'up',
        hasCaughtUp: this.#hasCaughtUp(member.number),
      })),
    });
  }

  #hasCaughtUp(member: number): boolean {
    const progress = this.#options.meta.group.status().progress.find((one) => one.member === member);
    return progress !== undefined && progress.state === 'replicate' && progress.lag < 64;
  }

  async #recordReplicas(): Promise<void> {
    const { meta } = this.#options;
    const record = meta.state.shards.get(metaShard);
    const { voters: all, votersOutgoing } = meta.group.confState;
    if (record === undefined || votersOutgoing.length > 0) return;
    // One that was removed votes until the group has changed.
    const voters = all.filter((voter) => meta.state.members.has(voter));
    const recorded = record.replicas.map(({ member }) => member);
    if (recorded.length === voters.length && voters.every((voter) => recorded.includes(voter))) return;
    await meta.propose({
      type: 'updateShardReplicas',
      shard: metaShard,
      expectedEpoch: record.epoch,
      replicas: voters.map((member) => ({ member, role: 'voter' })),
    });
  }

  async #giveFirstPlaces(): Promise<void> {
    const { meta, loads, logger } = this.#options;
    if (!hasUnplaced(meta.state) || !this.#isSettled() || !this.#hearsAll()) return;
    const { targets, blocked } = planPlacement(
      placementSnapshot(meta.state, loads(), { kind: 'initial' }, meta.isGone),
    );
    if (blocked.length > 0) logger.warn({ shards: blocked.length, reason: blocked[0]?.reason }, 'shards have no place');
    for (let from = 0; from < targets.length; from += assignmentsMax) {
      await meta.propose({ type: 'assignShards', assignments: targets.slice(from, from + assignmentsMax) });
    }
  }

  /** Shards whose content went with the processes that had it in memory begin again, empty. */
  async #foundAnew(): Promise<void> {
    const { meta, logger } = this.#options;
    for (const id of new Set(meta.state.alarms.map((alarm) => alarm.shard))) {
      const shard = meta.state.shards.get(id);
      if (shard === undefined || shard.change !== undefined || !hasLostMajority(meta.state, shard)) continue;
      const { collection, partition, epoch } = shard;
      logger.warn({ collection, partition }, 'a shard has lost its content and begins anew');
      await meta.propose({ type: 'foundShard', shard: id, expectedEpoch: epoch });
    }
  }

  /**
   * A member that is not heard is recorded as down, or back, within `silenceMs`. What got its first and only place there
   * meanwhile would be lost with the disk of the member, should that be why it is silent. A link is silent for a while
   * before it counts as down, and may be why there is a new leader: that one waits for a word, but no longer than
   * `settleMs`.
   */
  #hearsAll(): boolean {
    const { meta, mesh, clock } = this.#options;
    const isNew = clock.monotonic() - (this.#leadsSince ?? 0) < this.#settleMs;
    return mesh.peers().every(({ number, state }) => {
      if (meta.state.members.get(number)?.state !== 'up') return true;
      return state === 'up' && (!isNew || this.#hasCaughtUp(number));
    });
  }

  /**
   * New shards wait for the members that are expected, so that the first one does not get them all. For how long is counted
   * from when this member came to know of the cluster.
   */
  #isSettled(): boolean {
    const { meta, expectedMembers } = this.#options;
    const up = [...meta.state.members.values()].filter(({ state }) => state === 'up').length;
    return up >= expectedMembers || meta.clusterKnownMs >= this.#settleMs;
  }
}

function hasUnplaced({ shards }: MetaState): boolean {
  for (const { replicas } of shards.values()) if (replicas.length === 0) return true;
  return false;
}

function isLeaving({ state, drains }: MemberRecord): boolean {
  return state === 'draining' || drains === true;
}
