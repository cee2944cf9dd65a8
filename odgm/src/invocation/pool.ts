import { type Channel, type Client, createGrpcClient, type ServiceDefinition } from '@oaas/commons/grpc';

/** Opens the connections to one address; the composition root says how many, and with which bounds. */
export type OpenChannel = (address: string) => Channel;

/**
 * Clients of one service at several addresses. Addresses come from configuration, so their number is bounded by it;
 * connections open with the first call and stay.
 */
export class ClientPool<D extends ServiceDefinition> {
  readonly #definition: D;
  readonly #openChannel: OpenChannel;
  readonly #entries = new Map<string, { readonly client: Client<D>; readonly channel: Channel }>();

  constructor(definition: D, openChannel: OpenChannel) {
    this.#definition = definition;
    this.#openChannel = openChannel;
  }

  /** `address` is host:port, also with `http://`. */
  client(address: string): Client<D> {
    let entry = this.#entries.get(address);
    if (entry === undefined) {
      const channel = this.#openChannel(address);
      entry = { channel, client: createGrpcClient(this.#definition, channel) };
      this.#entries.set(address, entry);
    }
    return entry.client;
  }

  close(): void {
    for (const { channel } of this.#entries.values()) channel.close();
    this.#entries.clear();
  }
}
