import type { SimNode } from './node.ts';
import type { SimMesh } from './sim-mesh.ts';
import type { SimWorld } from './world.ts';

/** What a link does to what goes over it. Shares are 0..1. */
export interface LinkFaults {
  /** Share of messages, requests and answers that vanish. Streams lose nothing: like a connection, they break. */
  readonly loss: number;
  /** Share of messages that arrive twice. Requests never do: the mesh promises at most once. */
  readonly duplication: number;
  /** Delay of a frame: at least `minMs`, on average `meanMs` (exponential above the least), at most `maxMs`. */
  readonly delay: { readonly minMs: number; readonly meanMs: number; readonly maxMs: number };
  /** True: messages and requests may overtake each other on one link. False: only those of different links. */
  readonly reorders: boolean;
  /** Share of frames that break the link, for both ends. */
  readonly resets: number;
  /** Bytes that go through in a millisecond. */
  readonly bytesPerMs: number;
}

export const healthyLink: LinkFaults = {
  loss: 0,
  duplication: 0,
  delay: { minMs: 0.1, meanMs: 0.3, maxMs: 5 },
  reorders: false,
  resets: 0,
  bytesPerMs: Number.POSITIVE_INFINITY,
};

export interface SimNetworkOptions {
  /** Of every link that has none of its own. Default: {@link healthyLink}. */
  readonly faults?: LinkFaults | undefined;
  /** A link whose other end is not heard for so long goes down, give or take a quarter. Default 4,000 ms. */
  readonly silenceMs?: number | undefined;
  /** Tries to connect come after 50 ms, doubled up to this, with jitter. Default 2,000 ms. */
  readonly reconnectMaxMs?: number | undefined;
  /** The higher number of a pair dials too after so long. Default 3,000 ms. */
  readonly dialAnywayMs?: number | undefined;
}

/** What has been done to the frames, so that a test can see that its faults happen. */
export interface NetworkCounts {
  sent: number;
  delivered: number;
  lost: number;
  duplicated: number;
  overtaken: number;
  resets: number;
}

/** The network between the nodes of a world: whose faults are set here, and whose members are {@link SimMesh}es. */
export class SimNetwork {
  readonly world: SimWorld;
  readonly silenceMs: number;
  readonly reconnectMaxMs: number;
  readonly dialAnywayMs: number;
  readonly counts: NetworkCounts = { sent: 0, delivered: 0, lost: 0, duplicated: 0, overtaken: 0, resets: 0 };
  private faults: LinkFaults;
  private readonly own = new Map<string, LinkFaults>();
  private readonly blocked = new Set<string>();
  private readonly meshes = new Map<string, SimMesh>();
  private readonly watched = new Set<SimNode>();

  constructor(world: SimWorld, options: SimNetworkOptions = {}) {
    this.world = world;
    this.faults = options.faults ?? healthyLink;
    this.silenceMs = options.silenceMs ?? 4000;
    this.reconnectMaxMs = options.reconnectMaxMs ?? 2000;
    this.dialAnywayMs = options.dialAnywayMs ?? 3000;
  }

  /** Sets the faults of all links, and takes away those of single ones. */
  setFaults(faults: LinkFaults): void {
    this.faults = faults;
    this.own.clear();
  }

  /** Sets the faults of what `from` sends to `to`; undefined: those of all links. */
  setFaultsOf(from: string, to: string, faults: LinkFaults | undefined): void {
    if (faults === undefined) this.own.delete(`${from}>${to}`);
    else this.own.set(`${from}>${to}`, faults);
  }

  faultsOf(from: string, to: string): LinkFaults {
    return this.own.get(`${from}>${to}`) ?? this.faults;
  }

  /** Nothing that `from` sends reaches `to`. */
  cutOneWay(from: string, to: string): void {
    this.blocked.add(`${from}>${to}`);
    this.changed(`cut ${from}>${to}`);
  }

  cut(a: string, b: string): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }

  /** Nodes of different groups do not hear each other; those in no group hear nobody. Undoes earlier cuts. */
  partition(groups: readonly (readonly string[])[]): void {
    this.blocked.clear();
    const ids = this.world.nodes().map(({ id }) => id);
    for (const a of ids) {
      for (const b of ids) {
        if (a !== b && !groups.some((group) => group.includes(a) && group.includes(b))) this.blocked.add(`${a}>${b}`);
      }
    }
    this.changed(`partition ${groups.map((group) => group.join(',')).join(' | ')}`);
  }

  /** @param how what is cut: what the node sends, what it would hear, or both. */
  isolate(id: string, how: 'both' | 'sends' | 'hears' = 'both'): void {
    for (const { id: other } of this.world.nodes()) {
      if (other === id) continue;
      if (how !== 'hears') this.blocked.add(`${id}>${other}`);
      if (how !== 'sends') this.blocked.add(`${other}>${id}`);
    }
    this.changed(`isolate ${id} ${how}`);
  }

  /** Undoes cuts: all, or those between two nodes, in both directions. Frames that were held arrive late. */
  heal(a?: string, b?: string): void {
    if (a === undefined || b === undefined) this.blocked.clear();
    else for (const key of [`${a}>${b}`, `${b}>${a}`]) this.blocked.delete(key);
    this.changed(`heal ${a ?? 'all'} ${b ?? ''}`);
  }

  /** Breaks the link between two nodes, if there is one; they make another soon. */
  reset(a: string, b: string): void {
    this.counts.resets += 1;
    this.note(`${a}>${b} reset`);
    this.meshAt(a)?.reset(b);
  }

  isBlocked(from: string, to: string): boolean {
    return this.blocked.has(`${from}>${to}`);
  }

  delayOf(from: string, to: string): number {
    const { minMs, meanMs, maxMs } = this.faultsOf(from, to).delay;
    return Math.min(maxMs, minMs - Math.log(1 - this.world.random.next()) * Math.max(0, meanMs - minMs));
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return probability > 0 && this.world.random.next() < probability;
  }

  /** The mesh that listens at an address. */
  meshAt(address: string): SimMesh | undefined {
    return this.meshes.get(address);
  }

  attach(mesh: SimMesh): void {
    this.meshes.set(mesh.address, mesh);
    const { node } = mesh.process;
    if (this.watched.has(node)) return;
    this.watched.add(node);
    node.watch((change) => {
      if (change === 'pause' || change === 'resume') this.refresh();
    });
  }

  detach(mesh: SimMesh): void {
    if (this.meshes.get(mesh.address) === mesh) this.meshes.delete(mesh.address);
  }

  note(line: string): void {
    this.world.trace.add(`${this.world.now.toFixed(3)} ${line}`);
  }

  /** Lets every link look again whether its ends hear each other. */
  refresh(): void {
    for (const mesh of [...this.meshes.values()]) mesh.refresh();
  }

  private changed(what: string): void {
    this.note(`network ${what}`);
    this.refresh();
  }
}
