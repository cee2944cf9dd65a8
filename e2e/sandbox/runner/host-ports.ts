import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { oaasError } from '@oaas/commons/errors';

export interface HostPortsOptions {
  /** File that keeps the assignments from one start to the next. */
  readonly file: string;
  readonly first: number;
  /** Ports in the range. When all are given out, those given back are given away again, the longest unused first. */
  readonly count: number;
  /** Whether nothing listens on a port of 127.0.0.1. Default: tries it. */
  readonly isFree?: (port: number) => Promise<boolean>;
}

/**
 * Gives keys (a container port of a pod, a port of a Service) loopback ports of a range. A key keeps its port, also over
 * a restart of the sandbox, as long as the port is free: addresses that others were told stay true.
 */
export class HostPorts {
  readonly #options: HostPortsOptions;
  /** In order of last use. */
  readonly #ports = new Map<string, number>();
  readonly #released = new Set<string>();
  #turn: Promise<unknown> = Promise.resolve();

  /** Reads the file, if there is one. Ports outside the range (another --port-base) are forgotten. */
  constructor(options: HostPortsOptions) {
    this.#options = options;
    if (!existsSync(options.file)) return;
    const saved = JSON.parse(readFileSync(options.file, 'utf8')) as Record<string, number>;
    for (const [key, port] of Object.entries(saved)) {
      if (port < options.first || port >= options.first + options.count) continue;
      this.#ports.set(key, port);
      this.#released.add(key);
    }
  }

  /** The port of a key, whether anything listens there or not. Throws `ResourceExhausted` when the range is used up. */
  reserve(key: string): Promise<number> {
    return this.#exclusively(async () => this.#known(key) ?? (await this.#assign(key)));
  }

  /** The port of a key that is about to listen: another one than before if someone else has taken it meanwhile. */
  claim(key: string): Promise<number> {
    return this.#exclusively(async () => {
      const known = this.#known(key);
      if (known !== undefined && (await this.#isFree(known))) return known;
      this.#ports.delete(key);
      return this.#assign(key);
    });
  }

  /** The key is no longer in use. It keeps its port until the range is used up. */
  release(key: string): void {
    if (this.#ports.has(key)) this.#released.add(key);
  }

  #known(key: string): number | undefined {
    const port = this.#ports.get(key);
    if (port === undefined) return undefined;
    this.#released.delete(key);
    return port;
  }

  async #assign(key: string): Promise<number> {
    const port = (await this.#unused()) ?? (await this.#reused());
    if (port === undefined) {
      const { first, count } = this.#options;
      throw oaasError(
        'ResourceExhausted',
        `no loopback port is free in ${String(first)}..${String(first + count - 1)}`,
        {
          remedy: 'Choose another range with --port-base.',
        },
      );
    }
    this.#ports.set(key, port);
    this.#released.delete(key);
    this.#save();
    return port;
  }

  async #unused(): Promise<number | undefined> {
    const { first, count } = this.#options;
    const taken = new Set(this.#ports.values());
    for (let port = first; port < first + count; port += 1) {
      if (!taken.has(port) && (await this.#isFree(port))) return port;
    }
    return undefined;
  }

  async #reused(): Promise<number | undefined> {
    for (const key of this.#released) {
      const port = this.#ports.get(key);
      this.#ports.delete(key);
      this.#released.delete(key);
      if (port !== undefined && (await this.#isFree(port))) return port;
    }
    return undefined;
  }

  #isFree(port: number): Promise<boolean> {
    return (this.#options.isFree ?? isPortFree)(port);
  }

  #save(): void {
    const temporary = `${this.#options.file}.new`;
    writeFileSync(temporary, JSON.stringify(Object.fromEntries(this.#ports), null, 1), { mode: 0o600 });
    renameSync(temporary, this.#options.file);
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/** Whether a server could listen on `port` of 127.0.0.1 now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
