import { isOaasError, toOaasError } from '@oaas/commons/errors';
import { createLogger } from '@oaas/commons/telemetry';
import { sleep, type Timers } from '@oaas/commons/time';
import { RaftHost } from '@oaas/odgm/replication';
import { defaultLimits, openRaftShard, type RaftShard } from '@oaas/odgm/shard';
import type { Engine } from '@oaas/odgm/storage';
import { openJournalEngine } from '@oaas/odgm/storage/journal';
import { createSimMesh, SimDisk, SimNetwork, type SimNode, type SimProcess, SimWorld } from '@oaas/odgm/testkit/sim';
import { silence } from './clients.ts';
import { type ObservedReplica, storedHash } from './observer.ts';
import { choosePlan, type Plan } from './plan.ts';

/** What runs on a node now. */
export interface Running {
  readonly process: SimProcess;
  readonly engine: Engine;
  readonly host: RaftHost;
  readonly shards: Map<number, RaftShard>;
}

/** A process that starts anew after a failure takes about so long. */
const restartMs = 500;
const silent = createLogger({ service: 'sim', level: 'silent' });

/** Nodes with the real drivers, engine and shards on simulated disks, clocks and links. */
export class Cluster {
  readonly world: SimWorld;
  readonly network: SimNetwork;
  readonly plan: Plan;
  readonly nodes: readonly SimNode[];
  readonly disks: ReadonlyMap<string, SimDisk>;
  /** Numbers of the shards, and of their groups. */
  readonly shards: readonly number[];
  /** By number of the member. */
  readonly running = new Map<number, Running>();
  readonly timers: Timers;
  readonly #peers: readonly { readonly number: number; readonly id: string; readonly address: string }[];

  constructor(seed: number, nodes: number, onTrace?: (line: string) => void) {
    const world = new SimWorld({ seed, onTrace });
    this.world = world;
    this.plan = choosePlan(world.randomOf('plan'), nodes);
    this.network = new SimNetwork(world);
    this.timers = {
      after: (delayMs, run) => world.after(delayMs, run),
      every: () => {
        throw new Error('the world repeats nothing by itself');
      },
    };
    this.shards = Array.from({ length: this.plan.shards }, (_, i) => i + 1);
    this.#peers = Array.from({ length: nodes }, (_, i) => {
      const id = `n${String(i + 1)}`;
      return { number: i + 1, id, address: id };
    });
    this.nodes = this.#peers.map(({ id }) => world.node(id));
    this.disks = new Map(this.#peers.map(({ id }) => [id, new SimDisk(world, id)]));
    for (const [i, node] of this.nodes.entries()) {
      node.watch((change) => {
        if (change === 'crash') this.running.delete(i + 1);
      });
      node.boot((process) => this.#boot(process, i + 1));
    }
  }

  *replicas(of: SimNode | undefined): Iterable<ObservedReplica> {
    for (const [member, { host, engine, process }] of this.running) {
      if (of !== undefined && process.node !== of) continue;
      for (const group of host.groups()) yield { member, group, stateHash: () => storedHash(engine, group) };
    }
  }

  note(line: string): void {
    this.world.trace.add(`${this.world.now.toFixed(3)} ${line}`);
  }

  nodeOf(member: number): SimNode {
    const node = this.nodes[member - 1];
    if (node === undefined) throw new Error(`no member ${String(member)}`);
    return node;
  }

  /** First voters of a shard: as many as planned, from another member on for each shard. */
  founders(shard: number): number[] {
    const { length } = this.nodes;
    return Array.from({ length: this.plan.voters }, (_, i) => ((shard - 1 + i) % length) + 1);
  }

  /** The one of the highest term, of those who think that they lead. */
  leaderOf(shard: number): { readonly member: number; readonly shard: RaftShard } | undefined {
    let best: { member: number; shard: RaftShard } | undefined;
    for (const [member, { shards }] of this.running) {
      const replica = shards.get(shard);
      if (replica?.group.isLeader !== true || this.nodeOf(member).isPaused) continue;
      if (best === undefined || replica.group.term > best.shard.group.term) best = { member, shard: replica };
    }
    return best;
  }

  /**
   * Lets a member's process run something, as a client nearby would: a pause holds the question, a crash swallows it and
   * the answer. Rejects with what it rejects with.
   */
  async ask<T>(member: number, timeoutMs: number, run: (node: Running) => T | Promise<T>): Promise<T | typeof silence> {
    const { world } = this;
    const node = this.running.get(member);
    if (node === undefined) return silence;
    return new Promise((resolve, reject) => {
      const hop = (): number => 0.1 + world.random.next();
      const timer = world.after(timeoutMs, () => resolve(silence));
      const answer = (give: () => void): void => {
        world.after(hop(), () => {
          timer.cancel();
          give();
        });
      };
      world.afterFor(node.process, hop(), () => {
        Promise.resolve(node)
          .then(run)
          .then(
            (value) => answer(() => resolve(value)),
            (error: unknown) => answer(() => reject(toOaasError(error))),
          );
      });
    });
  }

  async #boot(process: SimProcess, member: number): Promise<void> {
    try {
      await this.#start(process, member);
    } catch (error) {
      if (!process.isAlive) return;
      if (!isDiskFailure(error)) throw error;
      this.#restart(process, error);
    }
  }

  async #start(process: SimProcess, member: number): Promise<void> {
    const { timers, clock, random } = process;
    const { tuning, engine: sizes } = this.plan;
    const disk = this.disks.get(process.node.id);
    if (disk === undefined) throw new Error('a node without a disk');
    const later: { host?: RaftHost } = {};
    const engine = await openJournalEngine({
      ...{ ...disk.mount(process), ...sizes, timers, logger: silent, turn: () => sleep(timers, 0) },
      onFailure: (error) => {
        this.#restart(process, error);
      },
      onRetention: (hints) => later.host?.relieve(hints),
    });
    const mesh = createSimMesh(this.network, process, { number: member });
    const host = new RaftHost({
      ...{ engine, mesh, self: member, clock, timers, random, logger: silent, tuning },
      schedule: (run) => void timers.after(0, run),
      events: {
        leader: (group, leader, term) => {
          this.note(`${process.node.id} group ${group} leader ${leader} term ${term}`);
        },
        members: (group, { voters, learners, votersOutgoing }) => {
          this.note(
            `${process.node.id} group ${group} voters ${voters.join()} | ${learners.join()} | ${votersOutgoing.join()}`,
          );
        },
        failed: (group, error) => {
          if (!process.isAlive) return;
          if (isDiskFailure(error)) this.#restart(process, error);
          else
            this.world.fail(
              new Error(`group ${group} of ${process.node.id} failed: ${error.message}`, { cause: error }),
            );
        },
      },
    });
    later.host = host;
    const node: Running = { process, engine, host, shards: new Map() };
    mesh.setPeers(this.#peers.filter(({ number }) => number !== member));
    this.running.set(member, node);
    const stored = new Map(host.stored().map((one) => [one.group, one]));
    for (const shard of this.shards) {
      const record = stored.get(shard);
      const voters = this.founders(shard);
      if (record?.state === 'present') await this.openReplica(node, shard, record.epoch);
      else if (record === undefined && voters.includes(member)) await this.openReplica(node, shard, 1, voters);
    }
  }

  /** Opens what is stored, or makes a replica: of a founder with these voters, or with none to be filled by a snapshot. */
  async openReplica(node: Running, id: number, epoch: number, voters?: readonly number[]): Promise<void> {
    const { engine, process, host, shards } = node;
    const options = { id, epoch, engine, clock: process.clock, collection: 'c', partition: id, limits: defaultLimits };
    shards.set(id, await openRaftShard(host, options, voters === undefined ? undefined : { voters }));
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

/** Operations that the disk failed to do. Damaged contents are never one of these. */
export function isDiskFailure(thrown: unknown): boolean {
  if (isOaasError(thrown, 'StorageCorrupt')) return false;
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if ('code' in error && error.code === 'EIO') return true;
  }
  return false;
}
