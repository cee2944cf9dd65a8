import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { decodeHello, helloBytesMax, meshPreface } from '../src/mesh/handshake.ts';
import { headerBytes } from '../src/mesh/frames.ts';

/** Name of whoever connects and does not say that it is a node: gRPC clients. */
export const proxyClient = 'client';

export interface CuttingProxyOptions {
  /** Nodes by id, and where each listens (host:port). */
  readonly nodes: readonly { readonly id: string; readonly target: string }[];
}

/**
 * Stands between nodes and lets a test cut the links of each pair. Every node has an address of its own here, to be given
 * to the others as its address; who dials is read from its hello. A pair is two ids, or {@link proxyClient} and an id.
 */
export interface CuttingProxy {
  /** host:port at which the others reach the node. */
  addressOf(id: string): string;
  /** Resets the connections of the pair, and every new one. */
  cut(a: string, b: string): void;
  /**
   * Nothing comes through, and no end is told: bytes and ends of connections are held back until `heal`, as by a network
   * that drops packets.
   */
  blackhole(a: string, b: string): void;
  /** The same for what `from` sends to `to` only. */
  blackholeOneWay(from: string, to: string): void;
  /** Whatever the two send each other takes so much longer. */
  delay(a: string, b: string, delayMs: number): void;
  /** Blackholes the node from all other nodes. */
  isolate(id: string): void;
  /** Undoes all of the above for the pair, or for all. */
  heal(a?: string, b?: string): void;
  /** Connections of the pair that are open. */
  connections(a: string, b: string): number;
  close(): Promise<void>;
}

interface Rule {
  isCut: boolean;
  isHeld: boolean;
  delayMs: number;
}

/** Bytes that one direction holds back before it stops reading. */
const heldBytesMax = 4 * 1024 * 1024;

export async function startCuttingProxy(options: CuttingProxyOptions): Promise<CuttingProxy> {
  const rules = new Map<string, Rule>();
  const open = new Set<Passage>();
  const addresses = new Map<string, string>();
  const servers: Server[] = [];
  const ids = options.nodes.map(({ id }) => id);

  const ruleOf = (from: string, to: string): Rule => {
    const key = `${from} ${to}`;
    let rule = rules.get(key);
    if (rule === undefined) rules.set(key, (rule = { isCut: false, isHeld: false, delayMs: 0 }));
    return rule;
  };
  const bothWays = (a: string, b: string, change: (rule: Rule) => void): void => {
    change(ruleOf(a, b));
    change(ruleOf(b, a));
    refresh();
  };
  const refresh = (): void => {
    for (const passage of [...open]) passage.refresh();
  };

  for (const { id, target } of options.nodes) {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const passage: Passage = new Passage(socket, id, target, ruleOf, () => open.delete(passage));
      open.add(passage);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    servers.push(server);
    addresses.set(id, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  return {
    addressOf(id) {
      const address = addresses.get(id);
      if (address === undefined) throw new Error(`the proxy knows no node ${id}`);
      return address;
    },
    cut: (a, b) => bothWays(a, b, (rule) => (rule.isCut = true)),
    blackhole: (a, b) => bothWays(a, b, (rule) => (rule.isHeld = true)),
    blackholeOneWay(from, to) {
      ruleOf(from, to).isHeld = true;
      refresh();
    },
    delay: (a, b, delayMs) => bothWays(a, b, (rule) => (rule.delayMs = delayMs)),
    isolate(id) {
      for (const other of ids) if (other !== id) bothWays(id, other, (rule) => (rule.isHeld = true));
    },
    heal(a, b) {
      for (const [key, rule] of rules) {
        const matches = a === undefined || (b === undefined ? key.split(' ').includes(a) : isPair(key, a, b));
        if (matches) Object.assign(rule, { isCut: false, isHeld: false, delayMs: 0 });
      }
      refresh();
    },
    connections: (a, b) =>
      [...open].filter(({ from, to }) => from !== undefined && isPair(`${from} ${to}`, a, b)).length,
    async close() {
      for (const passage of [...open]) passage.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

function isPair(key: string, a: string, b: string): boolean {
  return key === `${a} ${b}` || key === `${b} ${a}`;
}

/** One connection through the proxy. */
class Passage {
  readonly to: string;
  /** Known once the first bytes are here. */
  from: string | undefined = undefined;
  private readonly socket: Socket;
  private readonly target: string;
  private readonly ruleOf: (from: string, to: string) => Rule;
  private readonly onClosed: () => void;
  private head: Buffer = Buffer.alloc(0);
  private upstream: Socket | undefined = undefined;
  private forth: Direction | undefined = undefined;
  private back: Direction | undefined = undefined;

  constructor(
    socket: Socket,
    to: string,
    target: string,
    ruleOf: (from: string, to: string) => Rule,
    onClosed: () => void,
  ) {
    this.to = to;
    this.socket = socket.setNoDelay(true);
    this.target = target;
    this.ruleOf = ruleOf;
    this.onClosed = onClosed;
    socket.on('error', () => undefined);
    socket.on('close', this.onEarlyClose);
    socket.on('data', this.onHead);
  }

  refresh(): void {
    if (this.from === undefined) return;
    if (this.ruleOf(this.from, this.to).isCut) this.reset();
    this.forth?.refresh();
    this.back?.refresh();
  }

  destroy(): void {
    this.socket.destroy();
    this.upstream?.destroy();
    this.forth?.stop();
    this.back?.stop();
    this.onClosed();
  }

  private reset(): void {
    this.socket.resetAndDestroy();
    this.upstream?.resetAndDestroy();
    this.destroy();
  }

  private readonly onEarlyClose = (): void => {
    this.onClosed();
  };

  private readonly onHead = (chunk: Buffer): void => {
    this.head = Buffer.concat([this.head, chunk]);
    const from = dialler(this.head);
    if (from === undefined) return;
    this.from = from;
    this.socket.off('data', this.onHead).off('close', this.onEarlyClose).pause();
    if (this.ruleOf(from, this.to).isCut) {
      this.reset();
      return;
    }
    const { host, port } = splitAddress(this.target);
    const upstream = connect({ host, port, noDelay: true, allowHalfOpen: true });
    this.upstream = upstream;
    upstream.on('error', () => undefined);
    const over = (): void => {
      if (this.forth?.isOver === true && this.back?.isOver === true) this.destroy();
    };
    this.forth = new Direction(this.socket, upstream, this.ruleOf(from, this.to), over);
    this.back = new Direction(upstream, this.socket, this.ruleOf(this.to, from), over);
    this.forth.take(this.head);
    this.head = Buffer.alloc(0);
  };
}

/** What one end of a connection sends to the other. */
class Direction {
  isOver = false;
  private readonly source: Socket;
  private readonly sink: Socket;
  private readonly rule: Rule;
  private readonly onOver: () => void;
  private held: { readonly at: number; readonly chunk: Buffer | undefined }[] = [];
  private heldBytes = 0;
  private timer: NodeJS.Timeout | undefined = undefined;
  private isSinkFull = false;

  constructor(source: Socket, sink: Socket, rule: Rule, onOver: () => void) {
    this.source = source;
    this.sink = sink;
    this.rule = rule;
    this.onOver = onOver;
    source.on('data', (chunk: Buffer) => {
      this.take(chunk);
    });
    let hasEnded = false;
    const end = (): void => {
      if (hasEnded) return;
      hasEnded = true;
      this.take(undefined);
    };
    source.on('end', end);
    source.on('close', end);
    sink.on('drain', () => {
      this.isSinkFull = false;
      this.refresh();
    });
    this.refresh();
  }

  /** Takes bytes, or the end of them. */
  take(chunk: Buffer | undefined): void {
    this.held.push({ at: performance.now() + this.rule.delayMs, chunk });
    this.heldBytes += chunk?.length ?? 0;
    this.refresh();
  }

  refresh(): void {
    if (this.isOver) return;
    clearTimeout(this.timer);
    while (this.held[0] !== undefined && !this.rule.isHeld && !this.isSinkFull) {
      const waitMs = this.held[0].at - performance.now();
      if (waitMs > 0 && this.rule.delayMs > 0) {
        this.timer = setTimeout(() => {
          this.refresh();
        }, waitMs);
        break;
      }
      const { chunk } = this.held[0];
      this.held.shift();
      if (chunk === undefined) {
        this.end();
        return;
      }
      this.heldBytes -= chunk.length;
      this.isSinkFull = !this.sink.write(chunk);
    }
    if (this.rule.isHeld || this.isSinkFull || this.heldBytes > heldBytesMax) this.source.pause();
    else this.source.resume();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.isOver = true;
  }

  private end(): void {
    this.stop();
    if (this.source.destroyed && !this.source.readableEnded) this.sink.destroy();
    else this.sink.end();
    this.onOver();
  }
}

/** Who dialled, once enough of its first bytes is here. */
function dialler(head: Buffer): string | undefined {
  const isMesh = head.subarray(0, meshPreface.length).equals(meshPreface.subarray(0, head.length));
  if (!isMesh) return proxyClient;
  const at = meshPreface.length;
  if (head.length < at + headerBytes) return undefined;
  const end = at + 8 + head.readUInt32BE(at);
  if (end - at > helloBytesMax + headerBytes) return proxyClient;
  if (head.length < end) return undefined;
  return decodeHello(head.subarray(at + headerBytes, end))?.id ?? proxyClient;
}

function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
