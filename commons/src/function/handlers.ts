import { invoke } from '@oaas/proto';
import { type JsonValue, oaasError, toOaasError } from '../errors/index.ts';
import type { CallContext, ServiceHandlers } from '../grpc/index.ts';
import { FunctionCall, type CallEnvironment, type CallFacts } from './call.ts';
import { AppError, InvalidRequest } from './errors.ts';
import { encodePayload } from './payload.ts';

/** Runs one call. What it gives back is the payload: bytes, text, or anything that JSON can say. */
export type ClassFunction = (call: FunctionCall) => unknown;

export interface HandlerOptions {
  /** By the name of their binding in the class. */
  readonly functions: Readonly<Record<string, ClassFunction>>;
  /** Calls at once; one more is refused with `ResourceExhausted`. */
  readonly maxConcurrency: number;
  readonly environment: CallEnvironment;
}

/** `oprc.OprcFunction` over a class's functions. */
export function functionHandlers(options: HandlerOptions): ServiceHandlers<typeof invoke.OprcFunctionDefinition> {
  const { functions, maxConcurrency, environment } = options;
  let running = 0;

  const answer = async (facts: CallFacts, context: CallContext): Promise<invoke.InvocationResponse> => {
    if (running >= maxConcurrency) {
      throw oaasError('ResourceExhausted', 'the function has as many calls as it takes at once', { retryAfterMs: 100 });
    }
    running += 1;
    try {
      const run = Object.hasOwn(functions, facts.functionName) ? functions[facts.functionName] : undefined;
      if (run === undefined) throw unknownFunction(facts.functionName, Object.keys(functions));
      const payload = encodePayload(await run(new FunctionCall(facts, context, environment)));
      return { payload, status: invoke.ResponseStatus.OKAY, headers: {}, invocationId: '' };
    } catch (error) {
      return failure(error, facts, environment);
    } finally {
      running -= 1;
    }
  };

  return {
    invokeFn: ({ clsId, fnId, partitionId, payload, options: given }, context) =>
      answer({ classId: clsId, functionName: fnId, partition: partitionId, payload, options: given }, context),
    invokeObj: (request, context) => {
      const { clsId, fnId, partitionId, payload, options: given } = request;
      const objectId = request.objectId ?? request.legacyObjectId;
      return answer(
        { classId: clsId, functionName: fnId, partition: partitionId, payload, options: given, objectId },
        context,
      );
    },
  };
}

function unknownFunction(name: string, known: readonly string[]): InvalidRequest {
  return new InvalidRequest(`there is no function "${name}" here; known are ${known.join(', ')}`);
}

function failure(error: unknown, facts: CallFacts, environment: CallEnvironment): invoke.InvocationResponse {
  const { ResponseStatus } = invoke;
  if (error instanceof AppError) {
    return respond(ResponseStatus.APP_ERROR, {
      code: 'AppError',
      message: error.message,
      ...(error.details === undefined ? {} : { details: error.details }),
    });
  }
  if (error instanceof InvalidRequest) {
    return respond(ResponseStatus.INVALID_REQUEST, { code: 'InvalidArgument', message: error.message });
  }
  environment.logger.error({ err: error, function: facts.functionName, class: facts.classId }, 'function failed');
  // The caller is told what the platform said, but nothing of the function's insides.
  const known = toOaasError(error);
  const message = known.code === 'Internal' ? `function ${facts.functionName} failed` : known.message;
  return respond(ResponseStatus.SYSTEM_ERROR, { code: known.code, message });
}

function respond(status: invoke.ResponseStatus, body: Readonly<Record<string, JsonValue>>): invoke.InvocationResponse {
  return {
    status,
    payload: Buffer.from(JSON.stringify(body)),
    headers: { 'content-type': 'application/json' },
    invocationId: '',
  };
}
