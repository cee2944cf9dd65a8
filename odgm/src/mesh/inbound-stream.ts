import { type OaasError, oaasError } from '@oaas/commons/errors';
import { InboundCall } from './call-context.ts';
import type { FrameLink } from './frame-link.ts';
import { frameKinds, writeU32 } from './frames.ts';
import type { MeshIdentity, MeshPayload, StreamHandler } from './port.ts';

/** Bytes that a writer may be ahead of its reader. */
export const streamWindowBytes = 1024 * 1024;
/** Largest chunk. A writer with any credit left may send a whole one, so a reader holds at most window + one chunk. */
export const streamChunkMax = 1024 * 1024;

/** The reading end of a stream: holds chunks until the handler asks for them, and credits what it has dealt with. */
export class InboundStream implements AsyncIterableIterator<Uint8Array> {
  isCancelled = false;
  private readonly link: FrameLink;
  private readonly id: number;
  private readonly call: InboundCall;
  private chunks: Uint8Array[] = [];
  /** What the writer may still send. */
  private allowed = 0;
  /** Dealt with, but not credited yet. */
  private owed = 0;
  /** Size of the chunk that the handler works on. */
  private held = 0;
  private hasEnded = false;
  private isStopped = false;
  private failure: OaasError | undefined = undefined;
  private waiting:
    { resolve: (result: IteratorResult<Uint8Array>) => void; reject: (error: OaasError) => void } | undefined =
    undefined;

  constructor(link: FrameLink, id: number, peer: MeshIdentity) {
    this.link = link;
    this.id = id;
    this.call = new InboundCall(peer, 0);
  }

  async run(handler: StreamHandler, header: Uint8Array): Promise<MeshPayload> {
    this.grant(streamWindowBytes);
    return handler(header, this, this.call);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    this.owed += this.held;
    this.held = 0;
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const chunk = this.chunks.shift();
    if (this.owed >= streamWindowBytes / 4 || (chunk === undefined && this.owed > 0)) this.credit();
    if (chunk !== undefined) {
      this.held = chunk.length;
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.hasEnded || this.isStopped) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.stop();
    return Promise.resolve({ done: true, value: undefined });
  }

  push(chunk: Uint8Array): string | undefined {
    if (this.allowed <= 0 || chunk.length > streamChunkMax) return 'a stream sent more than it was allowed';
    this.allowed -= chunk.length;
    if (this.isStopped || this.hasEnded || this.failure !== undefined) return undefined;
    const { waiting } = this;
    if (waiting === undefined) {
      this.chunks.push(chunk);
      return undefined;
    }
    this.waiting = undefined;
    this.held = chunk.length;
    waiting.resolve({ done: false, value: chunk });
    return undefined;
  }

  end(): void {
    this.hasEnded = true;
    this.waiting?.resolve({ done: true, value: undefined });
    this.waiting = undefined;
  }

  cancel(why: OaasError = oaasError('Cancelled', 'the writer gave the stream up')): void {
    if (this.isCancelled) return;
    this.isCancelled = true;
    this.failure = why;
    this.chunks = [];
    this.waiting?.reject(why);
    this.waiting = undefined;
    this.call.abort(why);
  }

  /** Nothing more is read; what still comes is dropped. */
  stop(): void {
    this.isStopped = true;
    this.chunks = [];
    this.waiting?.resolve({ done: true, value: undefined });
    this.waiting = undefined;
  }

  private credit(): void {
    const { owed } = this;
    this.owed = 0;
    if (!this.hasEnded) this.grant(owed);
  }

  private grant(bytes: number): void {
    this.allowed += bytes;
    const payload = new Uint8Array(4);
    writeU32(payload, 0, bytes);
    this.link.force(frameKinds.streamCredit, 0, this.id, payload);
  }
}
