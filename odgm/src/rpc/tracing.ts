import { toOaasError } from '@oaas/commons/errors';
import { type CallContext, callerContext, type CallOptions, traceMetadata } from '@oaas/commons/grpc';
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { TextMapPropagator } from '@opentelemetry/api';
import type { RaftOperation, RaftSpan, RaftTracer } from '../replication/index.ts';

export interface TracingOptions {
  readonly tracer: Pick<Tracer, 'startSpan'>;
  readonly propagator: TextMapPropagator;
}

/**
 * Spans of what a node does for its callers, below theirs, and of what its groups do for that. Where nobody wants them
 * there is no such object, and calls cost what they cost without.
 */
export class GridTracing implements RaftTracer {
  readonly #options: TracingOptions;
  /** Of the call whose work is being begun at this moment; what it starts is below it. */
  #current: Context | undefined;

  constructor(options: TracingOptions) {
    this.#options = options;
  }

  /** An operation on a collection or a call of a function, such as `collection.get`. */
  operation(name: `collection.${string}` | `function.${string}`, call: CallContext): OperationSpan {
    const { tracer, propagator } = this.#options;
    const parent = callerContext(propagator, call.metadata);
    const attributes = { 'operation.type': name.slice(name.indexOf('.') + 1), 'network.peer.address': call.peer };
    const span = tracer.startSpan(`odgm.${name}`, { kind: SpanKind.SERVER, attributes }, parent);
    return new OperationSpan(span, trace.setSpan(parent, span), propagator);
  }

  /** Groups record what `run` begins, until it returns, below the operation. */
  within<T>({ context }: OperationSpan, run: () => T): T {
    const outer = this.#current;
    this.#current = context;
    try {
      return run();
    } finally {
      this.#current = outer;
    }
  }

  begin(operation: RaftOperation, group: number, term: number): RaftSpan | undefined {
    return GroupSpan.begin(this.#options.tracer, this.#current ?? ROOT_CONTEXT, operation, group, term, undefined);
  }
}

export class OperationSpan {
  readonly context: Context;
  readonly #span: Span;
  readonly #propagator: TextMapPropagator;

  constructor(span: Span, context: Context, propagator: TextMapPropagator) {
    this.#span = span;
    this.context = context;
    this.#propagator = propagator;
  }

  /** Where it belongs. `servedBy`: the member that it is passed on to. */
  of(collection: string, partition: number | undefined, servedBy: string | undefined): void {
    this.#span.setAttribute('collection.name', collection);
    if (partition !== undefined) this.#span.setAttribute('collection.partition', partition);
    if (servedBy !== undefined) this.#span.setAttribute('grid.served_by', servedBy);
  }

  note(name: string, value: string): void {
    this.#span.setAttribute(name, value);
  }

  /** The same call, whose spans on the other side are below this one. */
  onward(options: CallOptions): CallOptions {
    return { ...options, metadata: { ...options.metadata, ...traceMetadata(this.#propagator, this.context) } };
  }

  async around<T>(running: Promise<T>): Promise<T> {
    try {
      return await running;
    } catch (error) {
      fail(this.#span, error);
      throw error;
    } finally {
      this.#span.end();
    }
  }

  async *aroundAll<T>(running: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* running;
    } catch (error) {
      fail(this.#span, error);
      throw error;
    } finally {
      this.#span.end();
    }
  }
}

class GroupSpan implements RaftSpan {
  readonly #tracer: Pick<Tracer, 'startSpan'>;
  readonly #parent: Context;
  readonly #group: number;
  readonly #span: Span;

  private constructor(tracer: Pick<Tracer, 'startSpan'>, parent: Context, group: number, span: Span) {
    this.#tracer = tracer;
    this.#parent = parent;
    this.#group = group;
    this.#span = span;
  }

  static begin(
    tracer: Pick<Tracer, 'startSpan'>,
    parent: Context,
    operation: RaftOperation,
    group: number,
    term: number,
    index: number | undefined,
  ): GroupSpan | undefined {
    const span = tracer.startSpan(`odgm.raft.${operation}`, { kind: SpanKind.INTERNAL }, parent);
    if (!span.isRecording()) return undefined;
    span.setAttributes({ 'operation.type': operation, 'raft.group': group, 'raft.term': term });
    if (index !== undefined) span.setAttribute('raft.index', index);
    return new GroupSpan(tracer, parent, group, span);
  }

  next(operation: RaftOperation, index: number, term: number): RaftSpan {
    this.#span.setAttribute('raft.index', index);
    this.#span.end();
    return GroupSpan.begin(this.#tracer, this.#parent, operation, this.#group, term, index) ?? this;
  }

  note(name: 'index' | 'term' | 'member' | 'leader' | 'bytes', value: number): void {
    this.#span.setAttribute(`raft.${name}`, value);
  }

  end(error?: Error): void {
    if (error !== undefined) fail(this.#span, error);
    this.#span.end();
  }
}

/** A refusal is the caller's affair; what the grid could not do is an error of the span. */
function fail(span: Span, thrown: unknown): void {
  const error = toOaasError(thrown);
  span.setAttribute('error.type', error.code);
  if (error.code !== 'Internal' && error.code !== 'DataLoss' && error.code !== 'StorageCorrupt') return;
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  span.recordException(error);
}
