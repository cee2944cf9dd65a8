import { oaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, sleep, type Timers } from '@oaas/commons/time';
import type { peer } from '@oaas/proto';
import { commandVersion } from '../meta/index.ts';
import { byNaturalOrder } from '../placement/index.ts';
import type { NodeIdentity } from './identity.ts';
import type { Member } from './members.ts';

/** Asks nodes by their address, before there are links. */
export interface JoinPort {
  identify(address: string, signal: AbortSignal | undefined): Promise<peer.NodeIdentity>;
  join(address: string, request: peer.JoinRequest, signal: AbortSignal | undefined): Promise<peer.JoinResponse>;
}

/** A node that may be there. */
export interface Seed {
  /** Empty while it is not known. */
  readonly id: string;
  /** host:port of the gRPC services. */
  readonly address: string;
}

/** Where other nodes may be: a list, names in the DNS, pods. */
export interface Seeds {
  /** What is known now, this node perhaps among it. Rejects when it cannot be asked for. */
  find(): Promise<readonly Seed[]>;
  /** So many nodes, this one among them, must say that they are no members before one of them forms a cluster. */
  readonly quorum: number;
  /** Nodes of a new cluster, as far as is foreseen: the first placement waits for them. */
  readonly expected: number;
}

/** A list names all nodes that there will be: a majority of them cannot have overlooked a cluster. */
export function listedSeeds(members: readonly Member[]): Seeds {
  return {
    find: () => Promise.resolve(members),
    quorum: Math.floor(members.length / 2) + 1,
    expected: members.length,
  };
}

export interface JoinOptions {
  readonly clusterId: string;
  readonly self: Member;
  readonly seeds: Seeds;
  readonly identity: NodeIdentity;
  /** Default: no bound. */
  readonly capacityBytes?: number | undefined;
  readonly port: JoinPort;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** How a node gets to be a member. */
export type JoinOutcome =
  | {
      readonly kind: 'joined';
      readonly clusterUid: string;
      readonly member: number;
      /** All members as of then. */
      readonly members: readonly peer.PeerMember[];
    }
  /** There is no cluster yet, and it is for this node to form it. */
  | { readonly kind: 'bootstrap' };

const retryMs = 100;
const complainMs = 5000;

/**
 * Finds the cluster of a node that is no member yet, and joins it. Goes on until it has or `signal` aborts.
 *
 * A cluster is formed by the first of all known nodes, in the natural order of their ids, and by nobody else; and only
 * when as many nodes as {@link Seeds.quorum}, itself among them, say that they are no members of anything. So a first
 * node that comes back with an empty disk does not form a second cluster: the others know better, and while they cannot
 * be asked it waits. Throws `FailedPrecondition` when one of them is of another cluster.
 */
export async function findCluster(options: JoinOptions, signal?: AbortSignal): Promise<JoinOutcome> {
  const { self, seeds, clock, timers, logger } = options;
  let complainAt = clock.monotonic() + complainMs;
  for (;;) {
    const { others, problem } = await known(options);
    const answers = await askAll(options, others, signal);
    for (const answer of answers) {
      if (answer.clusterUid === '') continue;
      const joined = await tryJoin(options, answer, signal);
      if (joined !== undefined) return joined;
    }
    const fresh = answers.filter(({ clusterUid }) => clusterUid === '').length + 1;
    const isUnknown = answers.every(({ clusterUid }) => clusterUid === '');
    const ids = [self.id, ...others.map(({ id }) => id), ...answers.map(({ id }) => id)].filter((id) => id !== '');
    const first = ids.sort(byNaturalOrder)[0];
    if (isUnknown && first === self.id && fresh >= seeds.quorum) return { kind: 'bootstrap' };
    if (clock.monotonic() >= complainAt) {
      complainAt = clock.monotonic() + complainMs;
      const silent = others.filter(({ address }) => !answers.some((answer) => answer.address === address));
      logger.warn(
        {
          silent: silent.map(({ id, address }) => (id === '' ? address : id)),
          forms: first,
          answered: answers.length,
          quorum: seeds.quorum,
          ...(problem === undefined ? {} : { err: problem }),
        },
        'waiting to join a cluster',
      );
    }
    await sleep(timers, retryMs, signal);
  }
}

/** The other nodes that are known of. */
async function known({ seeds, self }: JoinOptions): Promise<{ others: readonly Seed[]; problem?: Error }> {
  try {
    const found = await seeds.find();
    return { others: found.filter(({ id, address }) => address !== self.address && (id === '' || id !== self.id)) };
  } catch (thrown) {
    return { others: [], problem: toOaasError(thrown) };
  }
}

interface Answer {
  readonly id: string;
  readonly address: string;
  readonly clusterUid: string;
  /** Number of the member that has this node's id there. */
  readonly caller: number;
}

async function askAll(
  options: JoinOptions,
  others: readonly Seed[],
  signal: AbortSignal | undefined,
): Promise<Answer[]> {
  const answers = await Promise.all(
    others.map(async ({ id, address }) => {
      try {
        const identity = await options.port.identify(address, signal);
        const { nodeId, clusterUid, caller } = identity;
        // An address that leads back here, by a name that is not this node's own.
        if (id === '' && nodeId === options.self.id) return undefined;
        if (id === '' || nodeId === id) return { id: nodeId, address, clusterUid, caller };
        options.logger.warn({ address, expected: id, found: identity.nodeId }, 'another node answers at the address');
      } catch (thrown) {
        const error = toOaasError(thrown);
        // Of another cluster: no waiting helps.
        if (error.code === 'FailedPrecondition') throw error;
      }
      return undefined;
    }),
  );
  return answers.filter((answer) => answer !== undefined);
}

async function tryJoin(
  options: JoinOptions,
  { address, caller }: Answer,
  signal: AbortSignal | undefined,
): Promise<JoinOutcome | undefined> {
  const { clusterId, self, identity, capacityBytes = 0, logger } = options;
  try {
    const response = await options.port.join(
      address,
      {
        clusterId,
        clusterUid: identity.clusterUid,
        nodeId: self.id,
        incarnation: identity.incarnation,
        address: self.address,
        admin: self.admin ?? '',
        zone: self.zone ?? '',
        commandVersion,
        capacityBytes,
        replaces: caller,
      },
      signal,
    );
    if (response.clusterUid === '' || response.member === 0) {
      throw oaasError('Internal', 'a member answered a join without a number');
    }
    const { clusterUid, member, members } = response;
    return { kind: 'joined', clusterUid, member, members };
  } catch (thrown) {
    const error = toOaasError(thrown);
    if (error.code === 'FailedPrecondition') throw error;
    logger.debug({ address, err: error }, 'a member could not take the join');
    return undefined;
  }
}
