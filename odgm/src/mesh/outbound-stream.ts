import { type OaasError, oaasError } from '@oaas/commons/errors';
import type { FrameLink } from './frame-link.ts';
import { frameKinds, noBytes } from './frames.ts';
import { streamChunkMax } from './inbound-stream.ts';
import type { MeshStream, StreamOptions } from './port.ts';

/** The writing end of a stream: sends while it has credit, the rate allows it and the link's queue has room. */
export class OutboundStream implements MeshStream {
  private readonly link: FrameLink;
  private readonly id: number;
  private readonly options: StreamOptions;
  private readonly onOver: () => void;
  private readonly controller = new AbortController();
  private creditBytes = 0;
  private isOpen = false;
  private outcome: { readonly result: Uint8Array } | { readonly error: OaasError } | undefined = undefined;
  /** Wakes who waits for credit, for room or for the outcome. */
  private wakeUp: (() => void) | undefined = undefined;
  private isBusy = false;
  private hasEnded = false;

  constructor(link: FrameLink, id: number, options: StreamOptions, onOver: () => void) {
    this.link = link;
    this.id = id;
    this.options = options;
    this.onOver = onOver;
  }

  opened(): void {
    this.isOpen = true;
    const { signal } = this.options;
    if (signal === undefined) return;
    if (signal.aborted) this.cancel();
    else signal.addEventListener('abort', this.onAbort, { once: true });
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.length > streamChunkMax) {
      throw oaasError('PayloadTooLarge', `a chunk of a stream has at most ${streamChunkMax} bytes`);
    }
    this.begin();
    try {
      await this.waitForCredit();
      await this.options.rate?.take(chunk.length, this.controller.signal);
      while (!this.send(chunk)) await this.woken();
    } catch (error) {
      // A wait for the rate that was cut short says less than why the stream is over.
      this.throwIfOver();
      throw error;
    } finally {
      this.isBusy = false;
    }
  }

  async end(): Promise<Uint8Array> {
    this.begin();
    this.hasEnded = true;
    try {
      if (this.outcome === undefined) this.link.force(frameKinds.streamEnd, 0, this.id, noBytes);
      while (this.outcome === undefined) await this.woken();
      if ('error' in this.outcome) throw this.outcome.error;
      return this.outcome.result;
    } finally {
      this.isBusy = false;
    }
  }

  cancel(): void {
    if (this.outcome !== undefined) return;
    if (this.isOpen) this.link.force(frameKinds.cancel, 0, this.id, noBytes);
    this.fail(oaasError('Cancelled', 'the stream was given up'));
  }

  credit(bytes: number): void {
    this.creditBytes += bytes;
    this.wake();
  }

  /** The reader is done with the stream. */
  finish(result: Uint8Array): void {
    this.settle({ result });
  }

  fail(error: OaasError): void {
    this.settle({ error });
  }

  wake(): void {
    const { wakeUp } = this;
    this.wakeUp = undefined;
    wakeUp?.();
  }

  private readonly onAbort = (): void => {
    this.cancel();
  };

  private begin(): void {
    if (this.isBusy) throw oaasError('Internal', 'a stream takes one write at a time');
    if (this.hasEnded) throw oaasError('Internal', 'the stream was ended already');
    this.isBusy = true;
  }

  private send(chunk: Uint8Array): boolean {
    this.throwIfOver();
    if (!this.link.offer(frameKinds.streamData, 0, this.id, chunk)) return false;
    this.creditBytes -= chunk.length;
    return true;
  }

  private async waitForCredit(): Promise<void> {
    this.throwIfOver();
    while (this.creditBytes <= 0) {
      await this.woken();
      this.throwIfOver();
    }
  }

  private throwIfOver(): void {
    if (this.outcome === undefined) return;
    if ('error' in this.outcome) throw this.outcome.error;
    throw oaasError('Cancelled', 'the reader has ended the stream');
  }

  private woken(): Promise<void> {
    return new Promise((resolve) => {
      this.wakeUp = resolve;
    });
  }

  private settle(outcome: { readonly result: Uint8Array } | { readonly error: OaasError }): void {
    if (this.outcome !== undefined) return;
    this.outcome = outcome;
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.controller.abort('error' in outcome ? outcome.error : undefined);
    this.onOver();
    this.wake();
  }
}
