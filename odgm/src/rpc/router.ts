import { partitionOf, triggerDepthHeader } from '@oaas/commons/client';
import { oaasError } from '@oaas/commons/errors';
import type { CallContext, CallOptions, ReadonlyMetadata } from '@oaas/commons/grpc';
import type { Clock } from '@oaas/commons/time';
import type { GridNode, HostedCollection, Member } from '../node/index.ts';
import type { Consistency, ShardHandle } from '../shard/index.ts';

/** `auto`: the server computes the partition from the object id. */
export const partitionHeader = 'x-oaas-partition';
/** `local`: any replica may answer a read, from what it has. Otherwise reads are linearizable. */
export const consistencyHeader = 'x-oaas-consistency';
/**
 * Trailing metadata of a `local` read: for how many milliseconds the replica that answered may lack what others took
 * meanwhile, or `unknown`. Of one that merges with others: since it last had the same as each of them.
 */
export const stalenessTrailer = 'x-oaas-staleness-ms';
/** Marks a call that another member passed on; it is not passed on again. */
export const hopHeader = 'x-oaas-hop';
/** Trailing metadata of a call that was passed on: host:port of the member to ask the next time. */
export const ownerTrailer = 'x-oaas-owner';

/** Calls of triggers that led to this one, one of the other, as the caller says. Throws `InvalidArgument`. */
export function depthOf(context: CallContext): number {
  const depth = context.metadata.get(triggerDepthHeader);
  if (depth === undefined) return 0;
  if (/^\d{1,9}$/.test(depth)) return Number(depth);
  throw oaasError('InvalidArgument', `${triggerDepthHeader} is a whole number of at least 0`, {
    remedy: 'Send what the call of the trigger came with.',
  });
}

/** Where a call is served: here, or by a member with the options to pass the call on. */
export type Route =
  | {
      readonly kind: 'local';
      readonly collection: HostedCollection;
      readonly partition: number;
      readonly shard: ShardHandle;
    }
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

/** What the caller of a read asks for. Throws `InvalidArgument`. */
export function consistencyOf(context: CallContext): Consistency {
  const asked = context.metadata.get(consistencyHeader);
  if (asked === undefined || asked === 'linearizable') return 'linearizable';
  if (asked === 'local') return 'local';
  throw oaasError('InvalidArgument', `${consistencyHeader} is linearizable or local`);
}

/**
 * Finds where a call belongs, and tells the caller when it is not here. Throws as {@link GridNode.locate}, and
 * `NoLeader` for a call that was passed on to the wrong member: the members disagree for a moment.
 */
export function routeOf(
  node: GridNode,
  clock: Clock,
  target: Target,
  context: CallContext,
  consistency: Consistency,
): Route {
  const collection = node.collection(target.classId);
  const partition = partitionIn(collection, target, context);
  const located = node.locate(collection, partition, consistency);
  if (located.kind === 'local') return { kind: 'local', collection, partition, shard: located.shard };
  const { member } = located;
  context.setTrailer(ownerTrailer, member.address);
  if (isPassedOn(context)) {
    throw oaasError('NoLeader', `the partition is served by ${member.id}`, {
      retryAfterMs: 50,
      details: { owner: member.id, address: member.address },
    });
  }
  return { kind: 'remote', collection, partition, member, options: onward(context, clock) };
}

/** The partition that the caller says, or leaves to be computed. */
export function partitionIn({ partitionCount }: HostedCollection, target: Target, context: CallContext): number {
  const isAuto = target.objectId !== undefined && context.metadata.get(partitionHeader) === 'auto';
  return isAuto ? partitionOf(target.objectId ?? '', partitionCount) : target.partition;
}

/** Another member sent the call here: it deals with what goes wrong. */
export function isPassedOn(context: CallContext): boolean {
  return context.metadata.get(hopHeader) !== undefined;
}

function relay(trailer: ReadonlyMetadata, context: CallContext): void {
  const staleness = trailer.get(stalenessTrailer);
  if (staleness !== undefined) context.setTrailer(stalenessTrailer, staleness);
}

/** The rest of the caller's time, its cancellation, its trace and its credentials, for a call made on its behalf. */
export function onward(context: CallContext, clock: Clock): CallOptions {
  const authorization = context.metadata.get('authorization');
  const consistency = context.metadata.get(consistencyHeader);
  const parent = context.metadata.get('traceparent');
  const state = context.metadata.get('tracestate');
  const depth = context.metadata.get(triggerDepthHeader);
  const isLocal = consistency === 'local';
  return {
    signal: context.signal,
    ...(isLocal ? { onTrailer: (trailer) => relay(trailer, context) } : {}),
    deadlineMs: context.deadlineMs === undefined ? undefined : Math.max(1, context.deadlineMs - clock.now()),
    metadata: {
      [hopHeader]: '1',
      ...(authorization === undefined ? {} : { authorization }),
      ...(consistency === undefined ? {} : { [consistencyHeader]: consistency }),
      ...(depth === undefined ? {} : { [triggerDepthHeader]: depth }),
      // The trace goes on on the other side, whether this node has spans of its own or not.
      ...(parent === undefined ? {} : { traceparent: parent, ...(state === undefined ? {} : { tracestate: state }) }),
    },
  };
}
