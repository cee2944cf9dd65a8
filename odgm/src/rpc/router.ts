import { partitionOf } from '@oaas/commons/client';
import { oaasError } from '@oaas/commons/errors';
import type { CallContext, CallOptions } from '@oaas/commons/grpc';
import type { Clock } from '@oaas/commons/time';
import type { GridNode, HostedCollection, Member } from '../node/index.ts';
import type { Shard } from '../shard/index.ts';

/** `auto`: the server computes the partition from the object id. */
export const partitionHeader = 'x-oaas-partition';
/** Marks a call that another member passed on; it is not passed on again. */
export const hopHeader = 'x-oaas-hop';
/** Trailing metadata of a call that was passed on: host:port of the member to ask the next time. */
export const ownerTrailer = 'x-oaas-owner';

/** Where a call is served: here, or by a member with the options to pass the call on. */
export type Route =
  | { readonly kind: 'local'; readonly collection: HostedCollection; readonly partition: number; readonly shard: Shard }
  | {
      readonly kind: 'remote';
      readonly collection: HostedCollection;
      readonly partition: number;
      readonly member: Member;
      readonly options: CallOptions;
    };

export interface Target {
  readonly classId: string;
  readonly partition: number;
  /** Absent for calls on a whole partition. */
  readonly objectId?: string | undefined;
}

/**
 * Finds where a call belongs, and tells the caller when it is not here. Throws as {@link GridNode.locate}, and
 * `Unavailable` for a call that was passed on to the wrong member: the members disagree for a moment.
 */
export function routeOf(node: GridNode, clock: Clock, target: Target, context: CallContext): Route {
  const collection = node.collection(target.classId);
  const isAuto = context.metadata.get(partitionHeader) === 'auto';
  const partition =
    isAuto && target.objectId !== undefined
      ? partitionOf(target.objectId, collection.partitionCount)
      : target.partition;
  const located = node.locate(collection, partition);
  if (located.kind === 'local') return { kind: 'local', collection, partition, shard: located.shard };
  const { member } = located;
  context.setTrailer(ownerTrailer, member.address);
  if (context.metadata.get(hopHeader) !== undefined) {
    throw oaasError('Unavailable', `the partition is served by ${member.id}`, {
      retryAfterMs: 200,
      details: { owner: member.id, address: member.address },
    });
  }
  return { kind: 'remote', collection, partition, member, options: onward(context, clock) };
}

/** The rest of the caller's time, its cancellation and its credentials, for a call made on its behalf. */
export function onward(context: CallContext, clock: Clock): CallOptions {
  const authorization = context.metadata.get('authorization');
  return {
    signal: context.signal,
    deadlineMs: context.deadlineMs === undefined ? undefined : Math.max(1, context.deadlineMs - clock.now()),
    metadata: { [hopHeader]: '1', ...(authorization === undefined ? {} : { authorization }) },
  };
}
