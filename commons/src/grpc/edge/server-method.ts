import { oaasError, toOaasError } from '../../errors/index.ts';
import { FieldBlock } from '../../http2/index.ts';
import type { MethodMeter } from '../call-meter.ts';
import type { CallContext, MessageType } from '../definition.ts';
import type { Codec } from './codec.ts';
import type { EdgeMetadata } from './metadata.ts';
import { parseTimeout } from './wire.ts';

export type AnyHandler = (request: unknown, context: CallContext) => unknown;
export type Around = (context: CallContext, run: () => Promise<void>) => Promise<void>;

/** A method of the server, ready to be called. */
export interface EdgeMethod {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestType: MessageType;
  readonly responseType: MessageType;
  readonly handler: AnyHandler;
  /** The interceptors around it; undefined when there are none, and then nothing of them is paid for. */
  readonly around: Around | undefined;
  /** Counts its calls; undefined when nobody wants to know. */
  readonly meter: MethodMeter | undefined;
}

/** What a request block says, worked out once for all requests that come with the same block. */
export interface RequestHead {
  readonly block: FieldBlock;
  /** The method; undefined for a path that no service has. */
  readonly entry: EdgeMethod | undefined;
  /** Set for what is no gRPC call: the HTTP status to answer with. */
  readonly httpStatus: 405 | 415 | undefined;
  readonly timeoutMs: number | undefined;
  /** The request's own compression. */
  readonly encoding: 'identity' | 'gzip' | 'unknown';
  readonly acceptsGzip: boolean;
  /** Whether the caller sent a correlation id. */
  readonly hasCorrelation: boolean;
  metadata: EdgeMetadata | undefined;
}

export function readHead(
  block: FieldBlock,
  methods: ReadonlyMap<string, EdgeMethod>,
  correlationHeader: string,
): RequestHead {
  const contentType = block.get('content-type') ?? '';
  const timeout = block.get('grpc-timeout');
  const encoding = block.get('grpc-encoding') ?? 'identity';
  const isGrpc = /^application\/grpc(?:\+proto)?(?:;|$)/.test(contentType);
  return {
    block,
    entry: methods.get(block.get(':path') ?? ''),
    httpStatus: isGrpc ? (block.get(':method') === 'POST' ? undefined : 405) : 415,
    timeoutMs: timeout === undefined ? undefined : parseTimeout(timeout),
    encoding: encoding === 'identity' || encoding === 'gzip' ? encoding : 'unknown',
    acceptsGzip: /(?:^|[, ])gzip(?:[, ]|$)/.test(block.get('grpc-accept-encoding') ?? ''),
    hasCorrelation: block.get(correlationHeader) !== undefined,
    metadata: undefined,
  };
}

const commonHeaders = [':status', '200', 'content-type', 'application/grpc', 'grpc-accept-encoding', 'gzip,identity'];

/** Response headers of a call that set none of its own. */
export const plainHeaders = new FieldBlock(commonHeaders, { reused: true });
export const gzipHeaders = new FieldBlock([...commonHeaders, 'grpc-encoding', 'gzip'], { reused: true });

/** Response headers with `own` metadata; without headers before it, a status is a response by itself. */
export function responseHeaders(own: readonly string[], gzip: boolean): FieldBlock {
  const common = gzip ? gzipHeaders : plainHeaders;
  return own.length === 0 ? common : new FieldBlock([...common.fields, ...own]);
}

/** The HTTP answer to what is no gRPC call. */
export function httpRefusal(status: 405 | 415): FieldBlock {
  const fields = [':status', String(status), 'content-type', 'text/plain'];
  return new FieldBlock(status === 405 ? [...fields, 'allow', 'POST'] : fields);
}

export const httpRefusalText = new TextEncoder().encode(
  'This is a gRPC server: POST with content-type application/grpc.\n',
);

/** Throws Internal, as the protocol has it, for what is no message of the method's type. */
export function decodeRequest(
  codec: Codec,
  entry: EdgeMethod,
  bytes: Uint8Array,
  start: number,
  end: number,
  isOwn = false,
): unknown {
  try {
    return codec.decode(entry.requestType, bytes, start, end, isOwn);
  } catch (error) {
    throw oaasError('Internal', `the request of ${entry.path} cannot be decoded: ${toOaasError(error).message}`);
  }
}
