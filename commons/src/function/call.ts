import { type DataClient, type FunctionClient, triggerDepthHeader } from '../client/index.ts';
import { type JsonValue, oaasError } from '../errors/index.ts';
import type { CallContext, CallOptions } from '../grpc/index.ts';
import type { Logger } from '../telemetry/index.ts';
import type { Clock, Random, Timers } from '../time/index.ts';
import { invoke } from '@oaas/proto';
import { AppError, InvalidRequest } from './errors.ts';
import { GridObject } from './object.ts';
import { decodeJson, encodePayload } from './payload.ts';
import type { Turns } from './turns.ts';

/** The grid, as far as the program was told of one. */
export interface Grid {
  readonly data: DataClient;
  readonly functions: FunctionClient;
}

export interface CallEnvironment {
  /** Throws `FailedPrecondition` when the program was given no grid. */
  readonly grid: () => Grid;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly turns: Turns;
  readonly logger: Logger;
}

export interface CallFacts {
  readonly classId: string;
  readonly functionName: string;
  /** Absent in a call of a stateless function. */
  readonly objectId?: string | undefined;
  readonly partition: number;
  readonly payload: Uint8Array;
  readonly options: Readonly<Record<string, string>>;
}

/** A function of another object answered. */
export interface InvokeResult {
  readonly payload: Uint8Array;
  text(): string;
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- only the author knows the type of JSON
  json<T>(): T;
}

/** An object whose functions can be called as well. */
export interface ObjectRef {
  readonly object: GridObject;
  /**
   * Calls a function of the object; `payload` is bytes, text, or anything that JSON can say. Rejects with the
   * {@link AppError} of that function, or with `FunctionFailed`.
   */
  invoke(functionName: string, payload?: unknown): Promise<InvokeResult>;
}

/** One call of a function: what came in, and what the function may use. */
export class FunctionCall implements CallFacts {
  readonly classId: string;
  readonly functionName: string;
  readonly objectId: string | undefined;
  readonly partition: number;
  readonly payload: Uint8Array;
  readonly options: Readonly<Record<string, string>>;
  /** Aborts when the caller gives up or the deadline passes. */
  readonly signal: AbortSignal;
  /** When the caller gives up: milliseconds since the Unix epoch. */
  readonly deadlineMs: number | undefined;
  readonly log: Logger;
  readonly #environment: CallEnvironment;
  /** Metadata of this call that those made for it bring too: the grid ends triggers that set each other off by it. */
  readonly #passedOn: Readonly<Record<string, string>>;

  constructor(facts: CallFacts, context: CallContext, environment: CallEnvironment) {
    const depth = context.metadata.get(triggerDepthHeader);
    this.#passedOn = depth === undefined ? {} : { [triggerDepthHeader]: depth };
    this.classId = facts.classId;
    this.functionName = facts.functionName;
    this.objectId = facts.objectId;
    this.partition = facts.partition;
    this.payload = facts.payload;
    this.options = facts.options;
    this.signal = context.signal;
    this.deadlineMs = context.deadlineMs;
    this.#environment = environment;
    this.log = environment.logger.child({ function: facts.functionName, class: facts.classId, object: facts.objectId });
  }

  /** The payload as text (UTF-8). */
  text(): string {
    return Buffer.from(this.payload).toString('utf8');
  }

  /** The payload as JSON; anything else answers the caller with INVALID_REQUEST. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- only the author knows the type of JSON
  json<T = JsonValue>(): T {
    return decodeJson(this.payload, 'payload') as T;
  }

  /** The object that the function was called on. A call without an object is answered with INVALID_REQUEST. */
  get object(): GridObject {
    if (this.objectId === undefined) {
      throw new InvalidRequest(`function ${this.functionName} needs an object: call it with an object id`);
    }
    return this.#object(this.classId, this.objectId, this.partition);
  }

  /** Another object, of any class of the grid. */
  objects(classId: string, objectId: string): ObjectRef {
    return {
      object: this.#object(classId, objectId, undefined),
      invoke: (functionName, payload) => this.#invoke(classId, objectId, functionName, payload),
    };
  }

  #object(classId: string, objectId: string, partition: number | undefined): GridObject {
    const { grid, timers, random, turns } = this.#environment;
    return new GridObject({
      client: grid().data,
      classId,
      objectId,
      partition,
      call: this.#options(),
      timers,
      random,
      turns,
    });
  }

  async #invoke(classId: string, objectId: string, functionName: string, payload: unknown): Promise<InvokeResult> {
    const response = await this.#environment
      .grid()
      .functions.invokeObj(
        { clsId: classId, objectId, fnId: functionName, payload: encodePayload(payload) ?? Buffer.alloc(0) },
        { ...this.#options(), metadata: { ...this.#passedOn, 'x-oaas-partition': 'auto' } },
      );
    const result = response.payload ?? Buffer.alloc(0);
    if (response.status !== invoke.ResponseStatus.OKAY) throw failureOf(functionName, response.status, result);
    return {
      payload: result,
      text: () => result.toString('utf8'),
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- only the author knows the type of JSON
      json: <T>() => decodeJson(result, `answer of ${functionName}`) as T,
    };
  }

  /** Calls made for this one end with it. */
  #options(): CallOptions {
    const { clock } = this.#environment;
    return {
      signal: this.signal,
      deadlineMs: this.deadlineMs === undefined ? undefined : Math.max(1, this.deadlineMs - clock.now()),
      metadata: this.#passedOn,
    };
  }
}

function failureOf(functionName: string, status: invoke.ResponseStatus, payload: Buffer): Error {
  const { message, details } = readFailure(payload);
  if (status === invoke.ResponseStatus.APP_ERROR) return new AppError(message, details);
  return oaasError('FunctionFailed', `function ${functionName} failed: ${message}`, { details: { status } });
}

function readFailure(payload: Buffer): { message: string; details?: Record<string, JsonValue> } {
  try {
    const body = JSON.parse(payload.toString('utf8')) as { message?: unknown; details?: unknown };
    if (typeof body.message === 'string') {
      const { details } = body;
      return typeof details === 'object' && details !== null
        ? { message: body.message, details: details as Record<string, JsonValue> }
        : { message: body.message };
    }
  } catch {
    // Functions of other makers answer with plain text.
  }
  return { message: payload.toString('utf8').slice(0, 1000) };
}
