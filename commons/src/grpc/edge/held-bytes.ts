import { type OaasError, oaasError } from '../../errors/index.ts';

/** Bytes of messages that are not whole or not read yet, bounded for all calls of a connection or channel together. */
export class HeldBytes {
  private used = 0;
  private readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  /** Counts `bytes` more, or less. False: it is too much, and the call that they are for must give its own back. */
  add(bytes: number): boolean {
    this.used += bytes;
    return bytes <= 0 || this.used <= this.max;
  }

  overflow(): OaasError {
    return oaasError('ResourceExhausted', 'the unfinished messages of this connection take too much memory', {
      remedy: 'Have fewer large messages under way at once on one connection.',
      details: { bytesMax: String(this.max) },
    });
  }
}
