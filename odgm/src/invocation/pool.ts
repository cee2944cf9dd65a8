import { type Channel, type Client, createGrpcClient, type ServiceDefinition } from '@oaas/commons/grpc';

/** Opens one connection; the composition root says with which bounds. */
export type OpenChannel = (address: string) => Channel;

/**
 * Clients of one service at several addresses, `size` connections to each, used in turn. Addresses come from
 * configuration, so their number is bounded by it; connections open with the first call and stay.
 */
export class ClientPool<D extends ServiceDefinition> {
  readonly #definition: D;
  readonly #size: number;
  readonly #openChannel: OpenChannel;
  readonly #pools = new Map<string, { clients: Client<D>[]; channels: Channel[]; next: number }>();

  constructor(definition: D, options: { readonly size: number; readonly openChannel: OpenChannel }) {
    this.#definition = definition;
    this.#size = options.size;
    this.#openChannel = options.openChannel;
  }

  /** `address` is host:port, also with `http://`. */
  client(address: string): Client<D> {
    let pool = this.#pools.get(address);
    if (pool === undefined) {
      const channels = Array.from({ length: this.#size }, () => this.#openChannel(address));
      const clients = channels.map((channel) => createGrpcClient(this.#definition, channel));
      pool = { clients, channels, next: 0 };
      this.#pools.set(address, pool);
    }
    const client = pool.clients[pool.next];
    pool.next = (pool.next + 1) % this.#size;
    if (client === undefined) throw new RangeError('a pool has at least one client');
    return client;
  }

  close(): void {
    for (const { channels } of this.#pools.values()) for (const channel of channels) channel.close();
    this.#pools.clear();
  }
}
