import type { CallContext, CallOptions } from '@oaas/commons/grpc';
import type { Clock } from '@oaas/commons/time';
import { hopHeader, isPassedOn, onward } from '../rpc/index.ts';

/** Who asks, as far as a proxy in front, or the member that passed the call on, says. */
export const actorHeader = 'x-oaas-actor';

/** Whoever asks something that one node alone cannot answer. */
export interface Caller {
  /** Another member has passed the call on: it is answered here or not at all. */
  readonly isPassedOn: boolean;
  /** For calls to other members on the caller's behalf. */
  readonly onward: () => CallOptions;
}

/** For calls to other members on behalf of one over HTTP, which has no deadline of its own. */
const deadlineMs = 10_000;

/** Of a call over HTTP: members pass calls on over gRPC only. `authorization` is the header as it came. */
export function httpCaller(authorization: string | undefined, actor: string): Caller {
  const metadata = {
    ...{ [hopHeader]: '1', [actorHeader]: actor },
    ...(authorization === undefined ? {} : { authorization }),
  };
  return { isPassedOn: false, onward: () => ({ deadlineMs, metadata }) };
}

/** Of a call over gRPC; `actor` of one that changes something, so that the other members record it under that name. */
export function grpcCaller(context: CallContext, clock: Clock, actor?: string): Caller {
  return {
    isPassedOn: isPassedOn(context),
    onward: () => {
      const { metadata, ...options } = onward(context, clock);
      return { ...options, metadata: { ...metadata, ...(actor === undefined ? {} : { [actorHeader]: actor }) } };
    },
  };
}
