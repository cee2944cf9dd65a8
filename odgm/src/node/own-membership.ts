import { type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import { type Clock, type Random, randomHex, sleep } from '@oaas/commons/time';
import type { peer } from '@oaas/proto';
import type { Mesh, MeshPeer } from '../mesh/index.ts';
import {
  commandVersion,
  type JoiningMember,
  type MetaGroup,
  type MetaState,
  newClusterThrottle,
  type Settings,
} from '../meta/index.ts';
import type { Storage } from '../storage/index.ts';
import { isRecordedAs, isRemoval } from './admission.ts';
import { type NodeIdentity, openIdentity, saveIdentity } from './identity.ts';
import { findCluster, type JoinOutcome, type JoinPort, type Seeds } from './join.ts';
import type { Member } from './members.ts';
import { type RetryOptions, untilItWorks } from './retry.ts';

/** A node that cannot catch up asks others for the members, this often. One that has, looks this often whether it still can. */
const strangersMs = 2000;
/** Looks that hear no leader, one after the other, before the node doubts that it knows the members: elections take less. */
const looksWithoutLeader = 2;
/** A leader that was not heard for longer may be none any more: a member without a vote goes on naming it. */
const unheardMs = 2000;
/** Retry hint of a call that came while the node opens its storage. */
const retryAfterMs = 100;

export interface OwnMembershipOptions extends RetryOptions {
  readonly clusterId: string;
  readonly self: Member;
  /** Where to look for the cluster. */
  readonly seeds: Seeds;
  readonly joinPort: JoinPort;
  /** Bytes that this node may hold. Default: no bound. */
  readonly capacityBytes?: number | undefined;
  /** Of a cluster that this node forms; default: {@link defaultSettings}, with {@link newClusterThrottle}. */
  readonly settings?: Partial<Settings> | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/** What this node is to its cluster: finds or forms it, comes back to it, and says where this node is. */
export class OwnMembership {
  readonly #options: OwnMembershipOptions;
  #identity: NodeIdentity | undefined;
  /** Members that others told of. */
  #told: readonly MeshPeer[] = [];
  /** The state here may be too old to tell whom to talk to. */
  #isLost = true;
  #isCurrent = false;
  #removal: OaasError | undefined;

  constructor(options: OwnMembershipOptions) {
    this.#options = options;
  }

  /** Number of this member; 0 before it has joined. */
  get number(): number {
    return this.#identity?.member ?? 0;
  }

  /** The meta state here is as new as anything that this member has ever seen. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /** What the others said when this member was removed from the cluster while it was away; undefined: it was not. */
  get removal(): OaasError | undefined {
    return this.#removal;
  }

  /** Who this node is, for node `from`, which looks for a cluster. Throws `Unavailable` before {@link open}. */
  identify(from: string, state: MetaState | undefined): peer.NodeIdentity {
    const { nodeId, clusterUid, member } = this.#opened();
    const members = [...(state?.members.values() ?? [])];
    const caller = members.find(({ id, replacedBy }) => id === from && replacedBy === undefined)?.number ?? 0;
    return { clusterId: this.#options.clusterId, nodeId, clusterUid, member, caller };
  }

  /** Reads who this node is. Throws as {@link openIdentity}. */
  async open(storage: Storage): Promise<void> {
    const { self, random } = this.#options;
    this.#identity = await openIdentity(storage, self.id, random);
  }

  /** Finds the cluster, or forms it, unless this node belongs to one: the identity is settled after that. */
  async join(storage: Storage): Promise<NodeIdentity> {
    const identity = this.#opened();
    if (identity.member !== 0) return identity;
    const { clusterId, random, logger } = this.#options;
    const outcome = await this.#findCluster(identity);
    const joined =
      outcome.kind === 'joined'
        ? { ...identity, clusterUid: outcome.clusterUid, member: outcome.member }
        : { ...identity, clusterUid: `${clusterId}-${randomHex(random, 8)}`, member: 1 };
    if (outcome.kind === 'bootstrap') logger.info({ clusterUid: joined.clusterUid }, 'forming a cluster');
    // A crash in between: the number is asked for again, and the same one is given for the same incarnation.
    await saveIdentity(storage, joined);
    this.#identity = joined;
    return joined;
  }

  /** Before the node has its part of the cluster's state: makes that state, or knows again whom to get it from. */
  async settle(meta: MetaGroup): Promise<void> {
    const identity = this.#opened();
    if (meta.state.cluster === undefined && identity.member === 1) {
      const { signal } = this.#options;
      const settings = { throttle: newClusterThrottle, ...this.#options.settings };
      const members = [this.#asMember(identity)];
      await untilItWorks(this.#options, 'form the cluster', () =>
        meta.propose({ type: 'bootstrap', clusterId: identity.clusterUid, members, settings }, signal),
      );
    }
    // A node that stopped before it got the state asks again whom it belongs to.
    const isNew = meta.state.cluster === undefined && identity.member !== 1;
    if (isNew && this.#told.length === 0) await this.#findCluster(identity);
  }

  /**
   * Catches up with the meta group, and again whenever no leader was heard for a while: by then members may lead that this
   * node never heard of. Calls `onCurrent` each time that it has. Resolves when the node stops.
   */
  async follow(meta: MetaGroup, mesh: Mesh, onCurrent: () => void): Promise<void> {
    const { timers, signal } = this.#options;
    const pause = (): Promise<boolean> =>
      sleep(timers, strangersMs, signal).then(
        () => true,
        () => false, // stopped
      );
    while (await this.#catchUp(meta, mesh)) {
      onCurrent();
      for (let looks = 0; looks < looksWithoutLeader; looks = isLed(meta) ? 0 : looks + 1) {
        if (!(await pause())) return;
      }
    }
  }

  /** Resolves with true when the state here is as new as anything that was there before, with false when the node stops. */
  async #catchUp(meta: MetaGroup, mesh: Mesh): Promise<boolean> {
    const { clock } = this.#options;
    this.#isLost = true;
    let askAt = clock.monotonic() + strangersMs;
    try {
      await untilItWorks(this.#options, 'catch up with the meta group', async () => {
        try {
          await meta.catchUp();
        } catch (error) {
          if (clock.monotonic() >= askAt) {
            await this.#meetStrangers(meta, mesh);
            askAt = clock.monotonic() + strangersMs;
          }
          throw error;
        }
      });
    } catch {
      return false; // stopped
    }
    this.#isLost = false;
    this.#told = [];
    this.#isCurrent = true;
    return true;
  }

  /** Says where this node is now; its address may be another one than before. */
  async announce(meta: MetaGroup): Promise<void> {
    const identity = this.#opened();
    const record = meta.state.members.get(identity.member);
    const member = this.#asMember(identity);
    if (record?.state === 'up' && isRecordedAs(record, member)) return;
    const { logger, signal } = this.#options;
    await untilItWorks(this.#options, 'tell the others where this node is', async () => {
      if (meta.isLeader) {
        await meta.propose({ type: 'joinMember', clusterId: identity.clusterUid, member }, signal);
        return;
      }
      await this.#askToJoin(meta, identity);
    }).catch((error: unknown) => {
      if (!signal.aborted) logger.error({ err: error }, 'the cluster does not take this node back');
    });
  }

  /** Whom to have links with. */
  peersOf(state: MetaState): readonly MeshPeer[] {
    const members = [...state.members.values()].filter(({ replacedBy }) => replacedBy === undefined);
    const known: readonly MeshPeer[] = members.map(({ number, id, address }) => ({ number, id, address }));
    // What others said of the members is newer than a state that may be older than anything.
    const told = this.#isLost ? this.#told : [];
    const peers = new Map([...known, ...told].map((one) => [one.number, one]));
    peers.delete(this.number);
    return [...peers.values()];
  }

  async #findCluster(identity: NodeIdentity): Promise<JoinOutcome> {
    const { clusterId, self, seeds, joinPort, capacityBytes, clock, timers, logger, signal } = this.#options;
    const outcome = await findCluster(
      { clusterId, self, seeds, identity, capacityBytes, port: joinPort, clock, timers, logger },
      signal,
    );
    if (outcome.kind === 'joined') this.#told = outcome.members;
    return outcome;
  }

  /**
   * Who leads the meta group may have joined since this node was last there: it would refuse the link of a member that it
   * does not know, and never hear what it lacks. Anybody who can be reached says who the members are now.
   */
  async #meetStrangers(meta: MetaGroup, mesh: Mesh): Promise<void> {
    let response: peer.JoinResponse;
    try {
      response = await this.#askToJoin(meta, this.#opened());
    } catch (thrown) {
      const error = toOaasError(thrown);
      if (!isRemoval(error) || this.#removal !== undefined) return;
      this.#removal = error;
      this.#options.logger.error({ err: error }, 'this node is no member of its cluster any more');
      return;
    }
    this.#told = response.members;
    mesh.setPeers(this.peersOf(meta.state));
  }

  /** Asks everybody who may be there; the first answer counts. Found anew each time: all may have other addresses by now. */
  async #askToJoin(meta: MetaGroup, identity: NodeIdentity): Promise<peer.JoinResponse> {
    const { clusterId, self, joinPort, seeds, signal } = this.#options;
    const { capacityBytes = 0, ...member } = this.#asMember(identity);
    const { clusterUid } = identity;
    const request = { ...member, capacityBytes, clusterId, clusterUid, nodeId: self.id, replaces: 0 };
    const found = await seeds.find().catch(() => []);
    const others = [...found, ...meta.state.members.values()].filter(({ id }) => id !== self.id);
    return Promise.any(others.map(({ address }) => joinPort.join(address, request, signal))).catch(
      (thrown: unknown) => {
        const errors = thrown instanceof AggregateError ? thrown.errors.map(toOaasError) : [toOaasError(thrown)];
        throw (
          errors.find(isRemoval) ?? errors[0] ?? oaasError('Unavailable', 'no other member is known', { retryAfterMs })
        );
      },
    );
  }

  #asMember({ incarnation }: NodeIdentity): JoiningMember {
    const { self, capacityBytes } = this.#options;
    const { id, address, admin = '', zone = '' } = self;
    return { id, address, admin, zone, incarnation, commandVersion, capacityBytes };
  }

  #opened(): NodeIdentity {
    if (this.#identity !== undefined) return this.#identity;
    throw oaasError('Unavailable', 'the node opens its storage', { retryAfterMs });
  }
}

function isLed({ leader, staleMs = Number.POSITIVE_INFINITY }: MetaGroup): boolean {
  return leader !== 0 && staleMs <= unheardMs;
}
