import type { FastCodec } from './fast/index.ts';
import type { Logger } from '../telemetry/index.ts';
import type { MetadataInput, ReadonlyMetadata } from './metadata.ts';

/** A message type as ts-proto generates it. */
export interface MessageType {
  encode(message: unknown): { finish(): Uint8Array };
  decode(input: Uint8Array): unknown;
  fromPartial(object: unknown): unknown;
  /** The same by hand, for messages of which there are very many. */
  readonly fast?: FastCodec | undefined;
}

/** A method of a service as ts-proto generates it (`outputServices=generic-definitions`). */
export interface MethodDefinition {
  readonly name: string;
  readonly requestType: MessageType;
  readonly requestStream: boolean;
  readonly responseType: MessageType;
  readonly responseStream: boolean;
  readonly options: object;
}

export interface ServiceDefinition {
  readonly name: string;
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

export type RequestOf<M extends MethodDefinition> = ReturnType<M['requestType']['decode']>;
export type ResponseOf<M extends MethodDefinition> = ReturnType<M['responseType']['decode']>;
/** A request with the fields that matter; the others take their protobuf defaults. */
export type RequestInput<M extends MethodDefinition> = Parameters<M['requestType']['fromPartial']>[0];

/** What a handler knows about the call. The same for every carrier. */
export interface CallContext {
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly metadata: ReadonlyMetadata;
  /** Address of the caller. */
  readonly peer: string;
  /** When the caller gives up: milliseconds since the Unix epoch. Absent: never. */
  readonly deadlineMs?: number;
  /** Aborts when the caller cancels, goes away or its deadline passes, and for streams when the server drains. */
  readonly signal: AbortSignal;
  /** Adds to the metadata that is sent before the first response. */
  setHeader(key: string, value: string | Uint8Array): void;
  /** Adds to the metadata that is sent after the last response. */
  setTrailer(key: string, value: string | Uint8Array): void;
  /** Facts that interceptors leave for handlers, such as the subject that was authenticated. */
  readonly attributes: Map<string, unknown>;
  readonly logger: Logger;
  /**
   * Tells the server how many bytes more the handler keeps in memory until the call is over, such as a page that it
   * yields one by one: they count to the bound of what the server holds, at which the call ends with ResourceExhausted.
   * Absent: this server has no such bound.
   */
  keeps?(bytes: number): void;
}

/** A handler by the stream flags of its method. Throw an OaasError to refuse. */
export type Handler<M extends MethodDefinition> = M['requestStream'] extends true
  ? M['responseStream'] extends true
    ? (requests: AsyncIterable<RequestOf<M>>, context: CallContext) => AsyncIterable<ResponseOf<M>>
    : (requests: AsyncIterable<RequestOf<M>>, context: CallContext) => Promise<ResponseOf<M>>
  : M['responseStream'] extends true
    ? (request: RequestOf<M>, context: CallContext) => AsyncIterable<ResponseOf<M>>
    : (request: RequestOf<M>, context: CallContext) => Promise<ResponseOf<M>>;

/** Handlers by method. A method that is left out answers UNIMPLEMENTED. */
export type ServiceHandlers<D extends ServiceDefinition> = {
  readonly [K in keyof D['methods']]?: Handler<D['methods'][K]>;
};

export interface CallOptions {
  /** Cancels the call; it then rejects with `Cancelled`. */
  readonly signal?: AbortSignal | undefined;
  /** Time for the whole call, retries included, in milliseconds. */
  readonly deadlineMs?: number | undefined;
  readonly metadata?: MetadataInput | undefined;
  /** Told of the metadata that came after the last response, also that of an error. */
  readonly onTrailer?: ((trailer: ReadonlyMetadata) => void) | undefined;
}

/** A method of a client by its stream flags. Rejects with OaasErrors only. */
export type ClientMethod<M extends MethodDefinition> = M['requestStream'] extends true
  ? M['responseStream'] extends true
    ? (requests: AsyncIterable<RequestInput<M>>, options?: CallOptions) => AsyncIterable<ResponseOf<M>>
    : (requests: AsyncIterable<RequestInput<M>>, options?: CallOptions) => Promise<ResponseOf<M>>
  : M['responseStream'] extends true
    ? (request: RequestInput<M>, options?: CallOptions) => AsyncIterable<ResponseOf<M>>
    : (request: RequestInput<M>, options?: CallOptions) => Promise<ResponseOf<M>>;

export type Client<D extends ServiceDefinition> = { readonly [K in keyof D['methods']]: ClientMethod<D['methods'][K]> };

/** Name of a method on the wire. */
export function methodPath(service: ServiceDefinition, method: MethodDefinition): string {
  return `/${service.fullName}/${method.name}`;
}
