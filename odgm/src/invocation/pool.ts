import { oaasError } from '@oaas/commons/errors';
import { type Client, createGrpcClient, type ServiceDefinition } from '@oaas/commons/grpc';
import type { EdgeChannel } from '@oaas/commons/grpc/edge';
import type { Clock, Timer, Timers } from '@oaas/commons/time';

/** Opens the connections to one address; the composition root says how many, and with which bounds. */
export type OpenChannel = (address: string) => EdgeChannel;

export interface ClientPoolOptions {
  readonly openChannel: OpenChannel;
  readonly clock: Clock;
  readonly timers: Timers;
  /** An address that nobody has called for so long is let go, in ms. Default 5 minutes. */
  readonly idleMs?: number | undefined;
  /** Addresses at once. At the bound the one that was not called for longest goes; ResourceExhausted when all have calls. Default 1024. */
  readonly addressesMax?: number | undefined;
}

interface Entry<D extends ServiceDefinition> {
  readonly client: Client<D>;
  readonly channel: EdgeChannel;
  /** Monotonic time when it was last asked for, or seen with calls under way. */
  usedAt: number;
}

/**
 * Clients of one service at several addresses. Connections open with the first call and stay while there are others. Ask for
 * the client anew with each call: one that was kept may have lost its connections.
 */
export class ClientPool<D extends ServiceDefinition> {
  readonly #definition: D;
  readonly #options: ClientPoolOptions;
  readonly #addressesMax: number;
  readonly #entries = new Map<string, Entry<D>>();
  readonly #sweep: Timer;

  constructor(definition: D, options: ClientPoolOptions) {
    this.#definition = definition;
    this.#options = options;
    this.#addressesMax = options.addressesMax ?? 1024;
    const idleMs = options.idleMs ?? 300_000;
    this.#sweep = options.timers.every(idleMs / 5, () => {
      this.#letGo(options.clock.monotonic(), idleMs);
    });
  }

  /** `address` is host:port, also with `http://`. */
  client(address: string): Client<D> {
    const { clock, openChannel } = this.#options;
    let entry = this.#entries.get(address);
    if (entry === undefined) {
      if (this.#entries.size >= this.#addressesMax) this.#makeRoom();
      const channel = openChannel(address);
      entry = { channel, client: createGrpcClient(this.#definition, channel), usedAt: 0 };
      this.#entries.set(address, entry);
    }
    entry.usedAt = clock.monotonic();
    return entry.client;
  }

  close(): void {
    this.#sweep.cancel();
    for (const { channel } of this.#entries.values()) channel.close();
    this.#entries.clear();
  }

  #letGo(nowMs: number, idleMs: number): void {
    for (const [address, entry] of this.#entries) {
      if (entry.channel.isBusy) entry.usedAt = nowMs;
      else if (nowMs - entry.usedAt >= idleMs) this.#forget(address, entry);
    }
  }

  #makeRoom(): void {
    let longest: [string, Entry<D>] | undefined;
    for (const one of this.#entries) {
      if (!one[1].channel.isBusy && (longest === undefined || one[1].usedAt < longest[1].usedAt)) longest = one;
    }
    if (longest === undefined) {
      throw oaasError('ResourceExhausted', `calls to ${this.#addressesMax} addresses are under way`);
    }
    this.#forget(...longest);
  }

  #forget(address: string, { channel }: Entry<D>): void {
    this.#entries.delete(address);
    channel.close();
  }
}
