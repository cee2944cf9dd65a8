import { oaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, sleep, type Timers } from '@oaas/commons/time';
import type { peer } from '@oaas/proto';
import { byNaturalOrder } from '../placement/index.ts';
import type { NodeIdentity } from './identity.ts';
import type { Member } from './members.ts';

/** Asks nodes by their address, before there are links. */
export interface JoinPort {
  identify(address: string, signal: AbortSignal | undefined): Promise<peer.NodeIdentity>;
  join(address: string, request: peer.JoinRequest, signal: AbortSignal | undefined): Promise<peer.JoinResponse>;
}

export interface JoinOptions {
  readonly clusterId: string;
  readonly self: Member;
  /** As configured, this node among them. */
  readonly members: readonly Member[];
  readonly identity: NodeIdentity;
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
 * A cluster is formed by the first node of the member list, in natural order, and by nobody else; and only when a
 * majority of the listed nodes, itself among them, says that it is no member of anything. So a first node that comes
 * back with an empty disk does not form a second cluster: the others know better, and while they cannot be asked it
 * waits. Throws `FailedPrecondition` when a listed node is of another cluster.
 */
export async function findCluster(options: JoinOptions, signal?: AbortSignal): Promise<JoinOutcome> {
  const { self, members, clock, timers, logger } = options;
  const others = members.filter(({ id }) => id !== self.id);
  const [first] = [...members].sort((a, b) => byNaturalOrder(a.id, b.id));
  const majority = Math.floor(members.length / 2) + 1;
  let complainAt = clock.monotonic() + complainMs;
  for (;;) {
    const answers = await askAll(options, others, signal);
    for (const { clusterUid, address } of answers) {
      if (clusterUid === '') continue;
      const joined = await tryJoin(options, address, signal);
      if (joined !== undefined) return joined;
    }
    const fresh = answers.filter(({ clusterUid }) => clusterUid === '').length + 1;
    const isUnknown = answers.every(({ clusterUid }) => clusterUid === '');
    if (isUnknown && first?.id === self.id && fresh >= majority) return { kind: 'bootstrap' };
    if (clock.monotonic() >= complainAt) {
      complainAt = clock.monotonic() + complainMs;
      const silent = others.filter(({ address }) => !answers.some((answer) => answer.address === address));
      logger.warn(
        { silent: silent.map(({ id }) => id), forms: first?.id, answered: answers.length, majority },
        'waiting to join a cluster',
      );
    }
    await sleep(timers, retryMs, signal);
  }
}

interface Answer {
  readonly address: string;
  readonly clusterUid: string;
}

async function askAll(
  options: JoinOptions,
  others: readonly Member[],
  signal: AbortSignal | undefined,
): Promise<Answer[]> {
  const answers = await Promise.all(
    others.map(async ({ id, address }) => {
      try {
        const identity = await options.port.identify(address, signal);
        if (identity.nodeId === id) return { address, clusterUid: identity.clusterUid };
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
  address: string,
  signal: AbortSignal | undefined,
): Promise<JoinOutcome | undefined> {
  const { clusterId, self, identity, logger } = options;
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
