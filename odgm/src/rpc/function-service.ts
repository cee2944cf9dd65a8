import { partitionOf, triggerDepthHeader } from '@oaas/commons/client';
import type { CallContext, CallOptions, ServiceHandlers } from '@oaas/commons/grpc';
import { correlationHeader } from '@oaas/commons/telemetry';
import type { Clock } from '@oaas/commons/time';
import { invoke } from '@oaas/proto';
import type { TriggerPort } from '../events/index.ts';
import type { Invocation, InvocationTable, Invoker } from '../invocation/index.ts';
import type { GridNode, HostedCollection } from '../node/index.ts';
import { addressOf } from './codec.ts';
import { depthOf, onward, partitionHeader } from './router.ts';
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
      const depth = depthOf(context);
      const response = await invoked('invoke_obj', context, collection, { kind: 'object', request: call });
      tellEnd(options, collection, call, response, depth);
      return response;
    },
  };
}

type EndOptions = Pick<FunctionServiceOptions, 'node' | 'clock'>;

/** Sets off triggers of the object by the end of the call. A function that there is not has no calls. */
function tellEnd(
  { node, clock }: EndOptions,
  collection: HostedCollection,
  { fnId, partitionId, objectId }: { readonly fnId: string; readonly partitionId: number; readonly objectId: string },
  { status, payload, headers }: invoke.InvocationResponse,
  depth: number,
): void {
  if (headers['x-oaas-error'] === 'FunctionNotFound') return;
  const succeeded = status === invoke.ResponseStatus.OKAY;
  const call = { objectId, functionName: fnId, succeeded, payload, at: clock.now(), depth };
  const shard = collection.shardId(partitionId);
  if (shard !== undefined) node.events?.ended(shard, call);
}

/** Calls of triggers, made as those of clients are. `x-oaas-partition: auto` among the options is heeded as theirs. */
export function triggerPort(options: EndOptions & Pick<FunctionServiceOptions, 'invoker'>): TriggerPort {
  const { node, invoker } = options;
  return {
    call: async (classId, invocation, callOptions) => {
      const collection = node.collection(classId);
      if (invocation.kind === 'function') return invoker.invoke(tableOf(collection), invocation, callOptions);
      const { request } = invocation;
      const { objectId } = addressOf(request);
      const isAuto = request.options[partitionHeader] === 'auto';
      const partitionId = isAuto ? partitionOf(objectId, collection.partitionCount) : request.partitionId;
      const call = { kind: 'object', request: { ...request, objectId, partitionId } } as const;
      const response = await invoker.invoke(tableOf(collection), call, callOptions);
      tellEnd(options, collection, call.request, response, Number(request.options[triggerDepthHeader] ?? 0));
      return response;
    },
  };
}

function tableOf({ spec }: HostedCollection): InvocationTable {
  return { collection: spec.name, routes: spec.invocations.fnRoutes, disabled: spec.invocations.disabledFn };
}
