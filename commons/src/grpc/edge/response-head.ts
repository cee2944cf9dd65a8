import type { FieldBlock } from '../../http2/index.ts';
import { statusOfHttp } from './wire.ts';

/** What a response block says, worked out once for all responses that come with the same block. */
export interface ResponseHead {
  /** A status of 1xx: the response is still to come. */
  readonly isInformational: boolean;
  /** Set for what is no answer of a gRPC server. */
  readonly failure: { readonly code: number; readonly message: string } | undefined;
  /** Whether messages may be compressed. */
  readonly gzip: boolean;
}

export function readResponseHead(block: FieldBlock): ResponseHead {
  return (block.memo ??= read(block)) as ResponseHead;
}

function read(block: FieldBlock): ResponseHead {
  const status = block.get(':status') ?? '';
  const contentType = block.get('content-type') ?? '';
  const isGrpc = status === '200' && contentType.startsWith('application/grpc');
  const message = `the server answered with HTTP ${status} and content-type "${contentType}"`;
  return {
    isInformational: status.startsWith('1'),
    failure: isGrpc ? undefined : { code: status === '200' ? 2 : statusOfHttp(Number(status)), message },
    gzip: block.get('grpc-encoding') === 'gzip',
  };
}
