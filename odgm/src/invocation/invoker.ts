import { isOaasError, oaasError, type OaasError, toOaasError } from '@oaas/commons/errors';
import type { CallOptions } from '@oaas/commons/grpc';
import { type Clock, type Random, randomHex } from '@oaas/commons/time';
import { invoke } from '@oaas/proto';

export interface InvocationRoute {
  /** `http://host:port` or host:port. */
  readonly url: string;
  readonly stateless: boolean;
}

/** The functions of one collection, by the name that callers use. */
export interface InvocationTable {
  readonly collection: string;
  readonly routes: Readonly<Record<string, InvocationRoute>>;
  readonly disabled: readonly string[];
}

/** Sends a call to the program that runs the function. */
export interface FunctionPort {
  invokeFn(url: string, request: invoke.InvocationRequest, options: CallOptions): Promise<invoke.InvocationResponse>;
  invokeObj(
    url: string,
    request: invoke.ObjectInvocationRequest,
    options: CallOptions,
  ): Promise<invoke.InvocationResponse>;
}

export interface InvokerOptions {
  readonly functions: FunctionPort;
  readonly clock: Clock;
  readonly random: Random;
  /** Longest call; a shorter deadline of the caller counts. */
  readonly timeoutMs: number;
  /** Calls in flight; one more is refused with `ResourceExhausted`. */
  readonly maxInFlight: number;
  readonly onCall?: ((call: FinishedCall) => void) | undefined;
}

export interface FinishedCall {
  readonly collection: string;
  readonly functionName: string;
  readonly status: invoke.ResponseStatus;
  readonly durationMs: number;
}

export type Invocation =
  | { readonly kind: 'function'; readonly request: invoke.InvocationRequest }
  | { readonly kind: 'object'; readonly request: invoke.ObjectInvocationRequest };

/**
 * Routes function calls of a collection to the programs that run them.
 *
 * What goes wrong with the function is a response, not an error of the call: INVALID_REQUEST for a function that does
 * not exist or needs an object, SYSTEM_ERROR when its program cannot be reached, fails or takes too long. The payload
 * is then JSON `{code, message, …}`. Errors of the call itself are only the caller's own cancellation and
 * `ResourceExhausted`.
 */
export class Invoker {
  readonly #options: InvokerOptions;
  #inFlight = 0;

  constructor(options: InvokerOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  async invoke(
    table: InvocationTable,
    invocation: Invocation,
    options: CallOptions,
  ): Promise<invoke.InvocationResponse> {
    const { maxInFlight, clock, random, onCall } = this.#options;
    if (this.#inFlight >= maxInFlight) {
      throw oaasError('ResourceExhausted', 'too many function calls are in flight', { retryAfterMs: 100 });
    }
    this.#inFlight += 1;
    const startedAt = clock.monotonic();
    try {
      const response = await this.#answer(table, invocation, options);
      const known = Object.hasOwn(table.routes, invocation.request.fnId);
      onCall?.({
        collection: table.collection,
        functionName: known ? invocation.request.fnId : 'unknown',
        status: response.status,
        durationMs: clock.monotonic() - startedAt,
      });
      return response.invocationId === '' ? { ...response, invocationId: randomHex(random, 16) } : response;
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #answer(
    table: InvocationTable,
    invocation: Invocation,
    options: CallOptions,
  ): Promise<invoke.InvocationResponse> {
    const { fnId } = invocation.request;
    const route = Object.hasOwn(table.routes, fnId) && !table.disabled.includes(fnId) ? table.routes[fnId] : undefined;
    if (route === undefined) return refusal(invoke.ResponseStatus.INVALID_REQUEST, unknownFunction(table, fnId));
    if (invocation.kind === 'function' && !route.stateless) {
      return refusal(invoke.ResponseStatus.INVALID_REQUEST, needsObject(fnId));
    }
    try {
      return await this.#send(route.url, invocation, options);
    } catch (error) {
      if (options.signal?.aborted === true && isOaasError(error, 'Cancelled')) throw error;
      return refusal(invoke.ResponseStatus.SYSTEM_ERROR, failure(fnId, toOaasError(error)));
    }
  }

  #send(url: string, invocation: Invocation, options: CallOptions): Promise<invoke.InvocationResponse> {
    const { functions, timeoutMs } = this.#options;
    const bounded = { ...options, deadlineMs: Math.min(timeoutMs, options.deadlineMs ?? timeoutMs) };
    return invocation.kind === 'function'
      ? functions.invokeFn(url, invocation.request, bounded)
      : functions.invokeObj(url, invocation.request, bounded);
  }
}

function unknownFunction(table: InvocationTable, fnId: string): OaasError {
  const known = Object.keys(table.routes)
    .filter((name) => !table.disabled.includes(name))
    .sort();
  return oaasError('FunctionNotFound', `collection ${table.collection} has no function "${fnId}"`, {
    remedy: known.length === 0 ? 'The collection has no functions.' : `Its functions are: ${known.join(', ')}.`,
    details: { known },
  });
}

function needsObject(fnId: string): OaasError {
  return oaasError('InvalidArgument', `function "${fnId}" works on an object`, {
    remedy: 'Call InvokeObj with an object id.',
  });
}

function failure(fnId: string, error: OaasError): OaasError {
  return oaasError(error.code, `function "${fnId}" could not be called: ${error.message}`, {
    remedy: error.remedy,
    retryAfterMs: error.retryAfterMs,
  });
}

function refusal(status: invoke.ResponseStatus, error: OaasError): invoke.InvocationResponse {
  const body = {
    code: error.code,
    message: error.message,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    ...error.details,
  };
  return {
    status,
    payload: Buffer.from(JSON.stringify(body)),
    headers: { 'content-type': 'application/json', 'x-oaas-error': error.code },
    invocationId: '',
  };
}
