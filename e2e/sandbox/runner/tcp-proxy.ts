import { connect, createServer, type Server, type Socket } from 'node:net';
import { toOaasError } from '@oaas/commons/errors';

/** Connections of one port at once; further ones are closed. */
const connectionsMax = 1024;

/** A loopback port that hands its connections on to other loopback ports. */
export class TcpProxy {
  readonly #targets: () => readonly number[];
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #turn = 0;

  /** @param targets ports that take connections at this moment; asked for each connection, and taken in turn */
  constructor(targets: () => readonly number[]) {
    this.#targets = targets;
  }

  /** Throws `PortInUse` when someone else listens there. */
  listen(port: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#forward(client));
    server.maxConnections = connectionsMax;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(toOaasError(error)));
      server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
        this.#server = server;
        resolve();
      });
    });
  }

  /** Stops listening: from now on connections are refused. Those that are open go on, unless `cut`. */
  close(options: { readonly cut: boolean }): void {
    this.#server?.close();
    this.#server = undefined;
    if (options.cut) for (const socket of this.#sockets) socket.destroy();
  }

  #forward(client: Socket): void {
    this.#keep(client);
    const ports = this.#targets();
    const first = this.#turn++;
    this.#connect(
      client,
      ports.map((_, index) => ports[(first + index) % ports.length] ?? 0),
    );
  }

  /** Tries the targets one after the other: a pod may have ended a moment ago. */
  #connect(client: Socket, ports: readonly number[]): void {
    const [port, ...others] = ports;
    if (port === undefined) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    this.#keep(upstream);
    const tryNext = (): void => this.#connect(client, others);
    upstream.once('error', tryNext);
    upstream.once('connect', () => {
      upstream.off('error', tryNext);
      client.pipe(upstream);
      upstream.pipe(client);
      client.once('close', () => upstream.destroy());
      upstream.once('close', () => client.destroy());
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
