import { type OaasError, oaasError } from '../../errors/index.ts';

/** A connection that holds memory for its calls. */
export interface Holder {
  /** Bytes that {@link HeldTotal} has counted for it. Written there only. */
  counted: number;
  /** Ends the call that holds the most, and says with {@link HeldTotal.count} what that freed. */
  shed(error: OaasError): void;
}

/**
 * What all connections of a server hold for their calls: requests that are not whole or not read, answers that wait for
 * windows or sockets, and what handlers keep for streams. At the bound the connection that holds the most gives up its
 * largest calls until all fits again: it has more than its share, so that one client takes no memory from the others.
 */
export class HeldTotal {
  private used = 0;
  private readonly max: number;
  private readonly holders = new Set<Holder>();
  private isShedding = false;

  constructor(max: number) {
    this.max = max;
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.used;
  }

  /** Counts `bytes` more for a connection, or less. */
  count(holder: Holder, bytes: number): void {
    if (bytes === 0) return;
    holder.counted += bytes;
    this.used += bytes;
    if (holder.counted > 0) this.holders.add(holder);
    else this.holders.delete(holder);
    if (this.used > this.max && !this.isShedding) this.shed();
  }

  private shed(): void {
    this.isShedding = true;
    try {
      while (this.used > this.max) {
        const before = this.used;
        this.largest()?.shed(this.overflow());
        // It holds nothing that could be given up now.
        if (this.used >= before) return;
      }
    } finally {
      this.isShedding = false;
    }
  }

  private largest(): Holder | undefined {
    let largest: Holder | undefined;
    for (const holder of this.holders) if (largest === undefined || holder.counted > largest.counted) largest = holder;
    return largest;
  }

  private overflow(): OaasError {
    return oaasError('ResourceExhausted', 'the calls of this connection take too much of the memory of the server', {
      remedy: 'Read answers as they come, and have fewer large messages under way at once.',
      details: { bytesMax: String(this.max) },
    });
  }
}
