import { oaasError, toOaasError } from '@oaas/commons/errors';
import { createLogger, type Logger } from '@oaas/commons/telemetry';
import { sleep, type Timers } from '@oaas/commons/time';
import { encodeState } from '@oaas/odgm/meta';
import { GridNode, listedSeeds } from '@oaas/odgm/node';
import { EventualShard, RaftShard } from '@oaas/odgm/shard';
import type { Engine } from '@oaas/odgm/storage';
import { openJournalEngine } from '@oaas/odgm/storage/journal';
import { createMemoryEngine } from '@oaas/odgm/storage/memory';
import {
  createSimMesh,
  type Removal,
  removalsIn,
  SimDisk,
  SimNetwork,
  type SimNode,
  type SimProcess,
  SimWorld,
} from '@oaas/odgm/testkit/sim';
import { isDiskFailure } from '../cluster.ts';
import { type ObservedReplica, storedHash } from '../observer.ts';
import { Listener } from './listener.ts';
import { chooseGridPlan, type GridPlan } from './plan.ts';

/** What runs on a node now. */
export interface RunningNode {
  readonly process: SimProcess;
  readonly node: GridNode;
  /** Once it is open. */
  engine: Engine | undefined;
}

type NodeOptions = ConstructorParameters<typeof GridNode>[0];

const noResources: ReturnType<NodeOptions['resources']> = {
  ...{ cpuPercent: 0, eventLoopDelayMs: 0, memoryLimitBytes: 0, diskFreeBytes: 0, diskTotalBytes: 0, functionCalls: 0 },
};

/** The collection that clients use. */
export const usedCollection = 'used';
/** The collection whose replicas merge, where the plan has one. */
export const mergedCollection = 'merged';
/** A process that starts anew after a failure takes about so long. */
const restartMs = 500;

/** Whole nodes of the grid, with everything between a call and the disk, on simulated disks, clocks and links. */
export class SimGrid {
  readonly world: SimWorld;
  readonly network: SimNetwork;
  readonly plan: GridPlan;
  readonly nodes: readonly SimNode[];
  readonly disks: ReadonlyMap<string, SimDisk>;
  /** By id of the node. */
  readonly running = new Map<string, RunningNode>();
  readonly timers: Timers;
  readonly listener: Listener;
  /** Told of every replica that a node is about to remove for good. */
  onRemoval: (node: RunningNode, removal: Removal) => void = () => undefined;
  readonly #logger: Logger;

  constructor(seed: number, nodes: number, onTrace?: (line: string) => void) {
    const world = new SimWorld({ seed, onTrace });
    this.world = world;
    this.plan = chooseGridPlan(world.randomOf('plan'), nodes);
    this.network = new SimNetwork(world);
    this.listener = new Listener(world);
    this.#logger = createLogger({
      service: 'sim',
      level: onTrace === undefined ? 'silent' : 'info',
      destination: { write: (line: string) => onTrace?.(`${world.now.toFixed(3)} log ${shortened(line)}`) },
    });
    this.timers = {
      after: (delayMs, run) => world.after(delayMs, run),
      every: () => {
        throw new Error('the world repeats nothing by itself');
      },
    };
    const ids = Array.from({ length: nodes }, (_, i) => `n${String(i + 1)}`);
    this.nodes = ids.map((id) => world.node(id));
    this.disks = new Map(ids.map((id) => [id, new SimDisk(world, id)]));
    for (const node of this.nodes) {
      node.watch((change) => {
        if (change === 'crash') this.running.delete(node.id);
      });
      node.boot((process) => this.#boot(process));
    }
  }

  note(line: string): void {
    this.world.trace.add(`${this.world.now.toFixed(3)} ${line}`);
  }

  /** Replicas that serve, and those of the meta group. */
  *replicas(of: SimNode | undefined): Iterable<ObservedReplica> {
    for (const { node, engine, process } of this.running.values()) {
      if (of !== undefined && process.node !== of) continue;
      const { meta } = node;
      if (meta === undefined || engine === undefined) continue;
      // Every member renews its image of the state in its own time.
      const stateHash = (): string => Buffer.from(encodeState(meta.state)).toString('base64');
      yield { member: node.number, group: meta.group, stateHash };
      for (const { group } of shardsOf(node)) {
        yield { member: node.number, group, stateHash: () => storedHash(engine, group) };
      }
    }
  }

  /**
   * Lets a node do something for another one, or for a client (`from` undefined), as a call over the network: it may be
   * lost or late, a pause holds it, a crash swallows it. Rejects with what it rejects with, and with `Unavailable` when
   * nobody answers in time.
   */
  async call<T>(
    from: SimProcess | undefined,
    to: string,
    timeoutMs: number,
    run: (node: GridNode) => T | Promise<T>,
  ): Promise<T> {
    const { world, network } = this;
    const source = from?.node.id;
    const isLost = (a: string | undefined, b: string | undefined): boolean =>
      a !== undefined &&
      b !== undefined &&
      (network.isBlocked(a, b) || network.chance(network.faultsOf(a, b).loss / 4));
    const delay = (): number => (source === undefined ? 0.1 + world.random.next() : network.delayOf(source, to));
    const after = (ms: number, then: () => void): void => {
      if (from === undefined) world.after(ms, then);
      else world.afterFor(from, ms, then);
    };
    return new Promise((resolve, reject) => {
      after(timeoutMs, () => reject(oaasError('Unavailable', `${to} does not answer`)));
      if (isLost(source, to)) return;
      world.after(delay(), () => {
        const target = this.running.get(to);
        if (target === undefined) {
          const refusal = oaasError('Unavailable', `${to} does not run`, { details: { outcome: 'notApplied' } });
          after(delay(), () => reject(refusal));
          return;
        }
        const answer = (give: () => void): void => {
          if (target.process.isAlive && !isLost(to, source)) after(delay(), give);
        };
        world.afterFor(target.process, 0, () => {
          Promise.resolve(target.node)
            .then(run)
            .then(
              (value) => answer(() => resolve(value)),
              (error: unknown) => answer(() => reject(toOaasError(error))),
            );
        });
      });
    });
  }

  async #boot(process: SimProcess): Promise<void> {
    try {
      await this.#start(process);
    } catch (error) {
      if (!process.isAlive) return;
      if (!isDiskFailure(error)) throw error;
      this.#restart(process, error);
    }
  }

  async #start(process: SimProcess): Promise<void> {
    const { timers, clock, random } = process;
    const { plan } = this;
    const { id } = process.node;
    const members = this.nodes.map((one) => ({ id: one.id, address: one.id }));
    const options: NodeOptions = {
      clusterId: 'sim',
      version: 'sim',
      ...{
        seeds: listedSeeds(members),
        self: { id, address: id },
        clock,
        timers,
        random,
        logger: this.#logger.child({ node: id }),
      },
      collections: collectionsOf(plan),
      openEngine: async (durability) => {
        if (durability === 'ephemeral') return createMemoryEngine();
        const engine = await this.#openEngine(process, running);
        running.engine = engine;
        return engine;
      },
      openMesh: ({ number, clusterId }) => createSimMesh(this.network, process, { number, id, address: id, clusterId }),
      joinPort: {
        identify: (address) => this.call(process, address, 1000, (node) => node.identify(id)),
        join: (address, request) => this.call(process, address, 6000, (node) => node.admit(request)),
      },
      reportPort: {
        report: (address, _, timeoutMs) => this.call(process, address, timeoutMs, (node) => node.reportToPeer()),
      },
      events: { port: this.listener.portOf(process), maxDepth: 10, timeoutMs: 1000 },
      schedule: (run) => void timers.after(0, run),
      joinTimeoutMs: 3000,
      tuning: plan.tuning,
      memoryBytes: () => 0,
      resources: () => noResources,
    };
    const running: RunningNode = { process, node: new GridNode(options), engine: undefined };
    this.running.set(id, running);
    await running.node.start();
    this.note(`${id} ready as member ${running.node.number}`);
  }

  async #openEngine(process: SimProcess, running: RunningNode): Promise<Engine> {
    const { timers } = process;
    const disk = this.disks.get(process.node.id);
    if (disk === undefined) throw new Error('a node without a disk');
    const engine = await openJournalEngine({
      ...{ ...disk.mount(process), ...this.plan.engine, timers, logger: this.#logger, turn: () => sleep(timers, 0) },
      onCorruption: (error) => {
        this.world.fail(error);
      },
      onFailure: (error) => {
        this.#restart(process, error);
      },
      onRetention: (hints) => {
        running.node.relieve(hints);
      },
    });
    const write = engine.write.bind(engine);
    engine.write = (operations) => {
      for (const removal of removalsIn(engine, operations)) {
        this.note(`${process.node.id} removes its replica of group ${removal.group}, epoch ${removal.epoch}`);
        try {
          this.onRemoval(running, removal);
        } catch (error) {
          this.world.fail(error);
        }
      }
      return write(operations);
    };
    return engine;
  }

  /** A process whose disk failed ends, and is started again. */
  #restart(process: SimProcess, error: unknown): void {
    if (!process.isAlive) return;
    this.note(`${process.node.id} ends: ${toOaasError(error).message}`);
    this.world.after(0, () => {
      if (process.isAlive) process.node.crash();
      this.world.after(restartMs, () => {
        if (!process.node.isUp) process.node.restart();
      });
    });
  }
}

function collectionsOf({ partitions, replicas, merging }: GridPlan): NodeOptions['collections'] {
  const used = specOf(usedCollection, partitions, replicas);
  if (merging === undefined) return [used];
  return [used, { ...specOf(mergedCollection, merging.partitions, merging.replicas), shardType: merging.type }];
}

export function specOf(
  name: string,
  partitionCount: number,
  replicaCount: number,
): NodeOptions['collections'][number] & { readonly shardType: 'raft' } {
  return {
    ...{ name, classIds: [], partitionCount, replicaCount, shardType: 'raft', durability: 'persistent', options: {} },
    invocations: { fnRoutes: {}, disabledFn: [] },
  };
}

/** Replicas of shards of consensus that serve on the node. */
export function shardsOf(node: GridNode): RaftShard[] {
  const shards: RaftShard[] = [];
  for (const collection of node.collections()) {
    for (const handle of collection.handles()) if (handle instanceof RaftShard) shards.push(handle);
  }
  return shards;
}

/** Replicas that merge and serve on the node. */
export function mergingShardsOf(node: GridNode): EventualShard[] {
  const handles = [...node.collections()].flatMap((collection) => [...collection.handles()]);
  return handles.filter((handle) => handle instanceof EventualShard);
}

/** Of a line of the log, what does not depend on the machine. */
function shortened(line: string): string {
  const { time, pid, hostname, service, level, ...rest } = JSON.parse(line) as Record<string, unknown>;
  return [time, pid, hostname, service, level].length > 0 ? JSON.stringify(rest).slice(0, 500) : '';
}
