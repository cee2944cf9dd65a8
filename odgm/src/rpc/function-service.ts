import { partitionOf } from '@oaas/commons/client';
import type { CallContext, CallOptions, ServiceHandlers } from '@oaas/commons/grpc';
import { correlationHeader } from '@oaas/commons/telemetry';
import type { Clock } from '@oaas/commons/time';
import type { invoke } from '@oaas/proto';
import type { TriggerPort } from '../events/index.ts';
import type { Invocation, InvocationTable, Invoker } from '../invocation/index.ts';
import type { GridNode, HostedCollection } from '../node/index.ts';
import { addressOf } from './codec.ts';
import { onward, partitionHeader } from './router.ts';
import type { GridTracing } from './tracing.ts';

export interface FunctionServiceOptions {
  readonly node: GridNode;
  readonly invoker: Invoker;
  readonly clock: Clock;
  /** For calls that bring no correlation id: what a function does is followed by it. */
  readonly newCorrelationId: () => string;
  /** Absent: calls are not traced. */
  readonly tracing?: GridTracing | undefined;
}

/**
 * `oprc.OprcFunction`: any node takes a call and sends it to the program that runs the function. The program reads and
 * writes the object through the grid, which finds the shard; the call itself need not pass by it.
 */
export function functionService(
  options: FunctionServiceOptions,
): ServiceHandlers<typeof invoke.OprcFunctionDefinition> {
  const { node, invoker, clock, newCorrelationId, tracing } = options;
  /** An id that the caller sent travels along by itself. */
  const correlated = (context: CallContext): CallOptions => {
    const call = onward(context, clock);
    if (context.metadata.get(correlationHeader) !== undefined) return call;
    const id = newCorrelationId();
    context.setTrailer(correlationHeader, id);
    return { ...call, metadata: { ...call.metadata, [correlationHeader]: id } };
  };
  /** Sends the call on, within a span where calls are traced. */
  const invoked = (
    method: 'invoke_fn' | 'invoke_obj',
    context: CallContext,
    collection: HostedCollection,
    invocation: Invocation,
  ): Promise<invoke.InvocationResponse> => {
    const call = correlated(context);
    const table = tableOf(collection);
    if (tracing === undefined) return invoker.invoke(table, invocation, call);
    const span = tracing.operation(`function.${method}`, context);
    span.of(collection.spec.name, undefined, undefined);
    span.note('function.name', invocation.request.fnId);
    const answered = invoker.invoke(table, invocation, span.onward(call)).then((response) => {
      span.note('function.status', String(response.status));
      return response;
    });
    return span.around(answered);
  };
  return {
    invokeFn: async (request, context) =>
      invoked('invoke_fn', context, node.collection(request.clsId), { kind: 'function', request }),

    invokeObj: async (request, context) => {
      const collection = node.collection(request.clsId);
      const { objectId } = addressOf(request);
      const isAuto = context.metadata.get(partitionHeader) === 'auto';
      const partitionId = isAuto ? partitionOf(objectId, collection.partitionCount) : request.partitionId;
      const call = { ...request, objectId, partitionId };
      return invoked('invoke_obj', context, collection, { kind: 'object', request: call });
    },
  };
}

/** Calls of triggers, made as those of clients are. `x-oaas-partition: auto` among the options is heeded as theirs. */
export function triggerPort({ node, invoker }: Pick<FunctionServiceOptions, 'node' | 'invoker'>): TriggerPort {
  return {
    call: async (classId, invocation, options) => {
      const collection = node.collection(classId);
      if (invocation.kind === 'function') return invoker.invoke(tableOf(collection), invocation, options);
      const { request } = invocation;
      const { objectId } = addressOf(request);
      const isAuto = request.options[partitionHeader] === 'auto';
      const partitionId = isAuto ? partitionOf(objectId, collection.partitionCount) : request.partitionId;
      const call = { kind: 'object', request: { ...request, objectId, partitionId } } as const;
      return invoker.invoke(tableOf(collection), call, options);
    },
  };
}

function tableOf({ spec }: HostedCollection): InvocationTable {
  return { collection: spec.name, routes: spec.invocations.fnRoutes, disabled: spec.invocations.disabledFn };
}
