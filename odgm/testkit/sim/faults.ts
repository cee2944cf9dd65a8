import type { Random, Timer } from '@oaas/commons/time';
import type { SimDisk } from './disk.ts';
import { healthyDisk } from './disk.ts';
import { healthyLink, type SimNetwork } from './network.ts';
import type { SimNode } from './node.ts';
import type { PartitionKind, Swarm } from './swarm.ts';
import type { SimWorld } from './world.ts';

export interface FaultDriverOptions {
  readonly world: SimWorld;
  readonly network: SimNetwork;
  /** The nodes that faults may meet. They have been booted. */
  readonly nodes: readonly SimNode[];
  /** Disks by id of the node. Without one a crash loses nothing but the process. */
  readonly disks?: ReadonlyMap<string, SimDisk> | undefined;
  readonly swarm: Swarm;
  /** Most nodes that are down at once. Default: all of them. */
  readonly downMax?: number | undefined;
  /** Faults of the test's own, such as changes of membership: called about so often, until the faults end. */
  readonly actions?: readonly { readonly everyMs: number; readonly run: (random: Random) => void }[] | undefined;
}

/** Makes the faults of a {@link Swarm} happen, and ends them when progress is to be seen. */
export class FaultDriver {
  /** How often each kind happened. */
  readonly counts = { clogs: 0, partitions: 0, crashes: 0, pauses: 0, clocks: 0 };
  private readonly options: FaultDriverOptions;
  private readonly random: Random;
  private readonly timers = new Set<Timer>();

  constructor(options: FaultDriverOptions) {
    this.options = options;
    this.random = options.world.randomOf('faults');
  }

  /** The safety phase: from now on anything may happen, and nothing wrong may come of it. */
  start(): void {
    const { network, disks, swarm, actions = [] } = this.options;
    network.setFaults(swarm.link);
    for (const disk of disks?.values() ?? []) disk.faults = swarm.disk;
    this.often(swarm.clogs.everyMs, () => this.clog());
    this.often(swarm.partitions.everyMs, () => this.partition());
    this.often(swarm.crashes.everyMs, () => this.crash());
    this.often(swarm.pauses.everyMs, () => this.pause());
    this.often(swarm.clocks.everyMs, () => this.disturbClock());
    for (const { everyMs, run } of actions) this.often(everyMs, () => run(this.random));
  }

  /**
   * The liveness phase: no more faults. The nodes of `core` are healed for good: up, awake, and linked with one another;
   * the others stay as they are, cut off from the core. A core that has a quorum must now make progress.
   */
  healCore(core: readonly SimNode[]): void {
    const { world, network, nodes, disks } = this.options;
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
    network.setFaults(healthyLink);
    for (const disk of disks?.values() ?? []) disk.faults = healthyDisk;
    const ids = core.map(({ id }) => id);
    const rest = nodes.filter((node) => !core.includes(node)).map(({ id }) => id);
    network.partition([ids, ...rest.map((id) => [id])]);
    for (const node of core) {
      node.driftClock(0);
      if (node.isPaused) node.resume();
      if (!node.isUp) node.restart();
    }
    world.trace.add(`${world.now.toFixed(3)} core healed: ${ids.join(',')}`);
  }

  /** `count` of the nodes, drawn at random: a core for {@link healCore}. */
  chooseCore(count: number): SimNode[] {
    const left = [...this.options.nodes];
    return Array.from({ length: Math.min(count, left.length) }, () => left.splice(this.below(left.length), 1)).flat();
  }

  /** Runs it again and again, with exponential waits. */
  private often(everyMs: number, run: () => void): void {
    if (!Number.isFinite(everyMs)) return;
    this.later(everyMs, () => {
      run();
      this.often(everyMs, run);
    });
  }

  /** Runs it once, after about so long, unless the faults have ended. */
  private later(meanMs: number, run: () => void): void {
    const timer = this.options.world.after(-Math.log(1 - this.random.next()) * meanMs, () => {
      this.timers.delete(timer);
      run();
    });
    this.timers.add(timer);
  }

  private clog(): void {
    const { network, swarm } = this.options;
    const [from, to] = this.pair();
    if (from === undefined || to === undefined) return;
    const { delayMs, meanMs } = swarm.clogs;
    this.counts.clogs += 1;
    network.setFaultsOf(from, to, { ...swarm.link, delay: { minMs: 0.1, meanMs: delayMs, maxMs: delayMs * 4 } });
    this.later(meanMs, () => network.setFaultsOf(from, to, undefined));
  }

  private partition(): void {
    const { swarm, network } = this.options;
    const { kinds, meanMs } = swarm.partitions;
    this.counts.partitions += 1;
    network.heal();
    this.cut(kinds[this.below(kinds.length)] ?? 'isolate');
    this.later(meanMs, () => network.heal());
  }

  private cut(kind: PartitionKind): void {
    const { network, nodes } = this.options;
    const ids = nodes.map(({ id }) => id);
    switch (kind) {
      case 'isolate':
        network.isolate(this.pair()[0] ?? '');
        break;
      case 'one-way':
        network.isolate(this.pair()[0] ?? '', this.random.next() < 0.5 ? 'sends' : 'hears');
        break;
      case 'halves': {
        const first = ids.filter(() => this.random.next() < 0.5);
        network.partition([first, ids.filter((id) => !first.includes(id))]);
        break;
      }
      case 'ring':
        // Every node hears its neighbours only: no two majorities are the same, and nobody sees all of one.
        for (const [i, a] of ids.entries()) {
          for (const [j, b] of ids.entries()) {
            const distance = Math.min((i - j + ids.length) % ids.length, (j - i + ids.length) % ids.length);
            if (distance > 1) network.cutOneWay(a, b);
          }
        }
    }
  }

  private crash(): void {
    const { nodes, disks, swarm, downMax = nodes.length } = this.options;
    const up = nodes.filter(({ isUp }) => isUp);
    const node = up[this.below(up.length)];
    if (node === undefined || nodes.length - up.length >= downMax) return;
    this.counts.crashes += 1;
    node.crash();
    if (this.random.next() < swarm.crashes.wipes) disks?.get(node.id)?.wipe();
    this.later(swarm.crashes.downMs, () => {
      if (!node.isUp) node.restart();
    });
  }

  private pause(): void {
    const { nodes, swarm } = this.options;
    const node = nodes[this.below(nodes.length)];
    if (node?.isUp !== true || node.isPaused) return;
    this.counts.pauses += 1;
    node.pause();
    this.later(swarm.pauses.meanMs, () => node.resume());
  }

  private disturbClock(): void {
    const { nodes, swarm } = this.options;
    const node = nodes[this.below(nodes.length)];
    const { jumpMs, driftPartsPerMillion } = swarm.clocks;
    const sway = (most: number): number => (this.random.next() * 2 - 1) * most;
    this.counts.clocks += 1;
    if (this.random.next() < 0.5) node?.jumpClock(sway(jumpMs));
    else node?.driftClock(sway(driftPartsPerMillion));
  }

  /** Two different nodes. */
  private pair(): [string | undefined, string | undefined] {
    const [a, b] = this.chooseCore(2);
    return [a?.id, b?.id];
  }

  private below(count: number): number {
    return Math.floor(this.random.next() * count);
  }
}
