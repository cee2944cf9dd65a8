import { partitionOf } from '@oaas/commons/client';
import type { CallContext, CallOptions, ServiceHandlers } from '@oaas/commons/grpc';
import { correlationHeader } from '@oaas/commons/telemetry';
import type { Clock } from '@oaas/commons/time';
import type { invoke } from '@oaas/proto';
import type { InvocationTable, Invoker } from '../invocation/index.ts';
import type { GridNode, HostedCollection } from '../node/index.ts';
import { addressOf } from './codec.ts';
import { onward, partitionHeader } from './router.ts';

export interface FunctionServiceOptions {
  readonly node: GridNode;
  readonly invoker: Invoker;
  readonly clock: Clock;
  /** For calls that bring no correlation id: what a function does is followed by it. */
  readonly newCorrelationId: () => string;
}

/**
 * `oprc.OprcFunction`: any node takes a call and sends it to the program that runs the function. The program reads and
 * writes the object through the grid, which finds the shard; the call itself need not pass by it.
 */
export function functionService(
  options: FunctionServiceOptions,
): ServiceHandlers<typeof invoke.OprcFunctionDefinition> {
  const { node, invoker, clock, newCorrelationId } = options;
  /** An id that the caller sent travels along by itself. */
  const correlated = (context: CallContext): CallOptions => {
    const call = onward(context, clock);
    if (context.metadata.get(correlationHeader) !== undefined) return call;
    const id = newCorrelationId();
    context.setTrailer(correlationHeader, id);
    return { ...call, metadata: { ...call.metadata, [correlationHeader]: id } };
  };
  return {
    invokeFn: async (request, context) =>
      invoker.invoke(tableOf(node.collection(request.clsId)), { kind: 'function', request }, correlated(context)),

    invokeObj: async (request, context) => {
      const collection = node.collection(request.clsId);
      const { objectId } = addressOf(request);
      const isAuto = context.metadata.get(partitionHeader) === 'auto';
      const partitionId = isAuto ? partitionOf(objectId, collection.partitionCount) : request.partitionId;
      const call = { ...request, objectId, partitionId };
      return invoker.invoke(tableOf(collection), { kind: 'object', request: call }, correlated(context));
    },
  };
}

function tableOf({ spec }: HostedCollection): InvocationTable {
  return { collection: spec.name, routes: spec.invocations.fnRoutes, disabled: spec.invocations.disabledFn };
}
