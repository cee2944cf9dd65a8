import { createLogger } from '@oaas/commons/telemetry';
import { sleep } from '@oaas/commons/time';
import type { Mesh, MeshPayload, RateLimit } from '../src/mesh/index.ts';
import { isFirst } from '../src/meta/index.ts';
import { EventualHost, type EventualTuning } from '../src/replication/index.ts';
import { defaultLimits, EventualShard, type Membership, type Mutation, type ShardReader } from '../src/shard/index.ts';
import { graveBounds } from '../src/shard/eventual/records.ts';
import type { Engine } from '../src/storage/index.ts';
import { createMemoryEngine } from '../src/storage/memory.ts';
import { createSimMesh, SimNetwork, type SimNode, type SimProcess, SimWorld } from './sim/index.ts';

export interface EventualGridOptions {
  readonly seed: number;
  readonly replicas?: number;
  readonly type?: 'basic' | 'mst';
  readonly graceMs?: number | undefined;
  readonly tuning?: Partial<EventualTuning>;
  /** Meters exchanges of a member. */
  readonly rateOf?: (member: number, process: SimProcess) => RateLimit;
  /** A flush of the disk, in milliseconds. Default 1. */
  readonly writeMs?: number;
  readonly onTrace?: ((line: string) => void) | undefined;
  /** A former replica has handed over to another one. */
  readonly onHandedOver?: ((former: EventualShard, heir: EventualShard) => void) | undefined;
}

/** One member: what it has on its disk outlives its processes. */
export interface EventualMember {
  readonly number: number;
  readonly node: SimNode;
  readonly disk: Engine;
  /** Of the present process; undefined while there is none or it is not open yet. */
  shard: EventualShard | undefined;
  host: EventualHost | undefined;
  /** What the member knows of the shard's replicas. */
  membership: Membership;
  /** It is learning of a record. */
  isFollowing: boolean;
  /** Epoch of its replica that was replaced without it: what only that one has is handed over before it goes. */
  owes: number | undefined;
  /** By all its processes. */
  sentBytes(): number;
}

const levelKey = Uint8Array.from({ length: 16 }, (_, i) => i);
export const quickEventual: Partial<EventualTuning> = { gossipMs: 200, idleGossipMs: 800, tickMs: 50, requestMs: 1500 };

/** Replicas of one shard on simulated nodes, over a simulated network and disks that lose what was not flushed. */
export class EventualGrid {
  readonly world: SimWorld;
  readonly network: SimNetwork;
  readonly members: EventualMember[];
  readonly #options: EventualGridOptions;

  constructor(options: EventualGridOptions) {
    this.#options = options;
    const count = options.replicas ?? 3;
    this.world = new SimWorld({ seed: options.seed, onTrace: options.onTrace });
    this.network = new SimNetwork(this.world, { silenceMs: 1000, reconnectMaxMs: 200, dialAnywayMs: 400 });
    const membership: Membership = {
      epoch: 1,
      replicas: Array.from({ length: count }, (_, i) => ({ member: i + 1, role: 'voter', epoch: 1 })),
    };
    this.members = Array.from({ length: count }, (_, i) => this.#newMember(i + 1, membership));
  }

  get shards(): EventualShard[] {
    return this.members.flatMap(({ shard }) => (shard === undefined ? [] : [shard]));
  }

  member(number: number): EventualMember {
    const found = this.members[number - 1];
    if (found === undefined) throw new Error(`no member ${String(number)}`);
    return found;
  }

  /** A member without a replica. */
  addMember(): EventualMember {
    const member = this.#newMember(this.members.length + 1, this.member(1).membership);
    this.members.push(member);
    return member;
  }

  start(): void {
    for (const member of this.members) if (!member.node.isUp) this.boot(member);
  }

  boot(member: EventualMember): void {
    member.node.boot((process) => this.#run(member, process));
  }

  /** The meta group has recorded other replicas: all members learn of it, or only those given. */
  async record(replicas: Membership['replicas'], epoch: number, who = this.members): Promise<void> {
    const done = Promise.all(who.map((member) => this.follow(member, { epoch, replicas })));
    await this.world.run(20);
    await done;
  }

  /** One member learns of the record. What is under way when it crashes goes on when it boots. */
  async follow(member: EventualMember, membership: Membership): Promise<void> {
    member.membership = membership;
    const { host } = member;
    if (member.isFollowing || host === undefined) return;
    member.isFollowing = true;
    while (member.host === host && (await this.#follow(member, member.membership))) continue;
    if (member.host === host) member.isFollowing = false;
  }

  /** True when there is something newer to follow. */
  async #follow(member: EventualMember, membership: Membership): Promise<boolean> {
    const own = membership.replicas.find((replica) => replica.member === member.number);
    const { shard, host } = member;
    if (shard !== undefined && own?.epoch !== shard.epoch) {
      member.shard = undefined;
      await shard.close();
      // It crashed meanwhile.
      if (member.host !== host) return false;
      if (member.owes !== shard.epoch) await host?.remove(1, shard.epoch);
    }
    if (host !== undefined && member.owes !== undefined && own?.epoch !== member.owes) {
      await this.#payDebt(member, host, member.owes);
    }
    if (own !== undefined && member.shard === undefined) await this.#open(member, own.epoch);
    member.shard?.configure(membership);
    const isMissing = own !== undefined && member.shard === undefined && member.host !== undefined;
    return isMissing || member.membership.epoch !== membership.epoch;
  }

  /** As a node that comes back does: first it gives what only its former replica may have, then that one goes. */
  async #payDebt(member: EventualMember, host: EventualHost, epoch: number): Promise<void> {
    if (host.stored().get(1) === epoch) {
      const former = this.former(member, epoch);
      const timers = this.#engines.get(member)?.process.timers;
      while (timers !== undefined && !(await this.#handOver(member, host, former))) await sleep(timers, 100);
      await former.close();
      await host.remove(1, epoch);
    }
    member.owes = undefined;
  }

  async #handOver(member: EventualMember, host: EventualHost, former: EventualShard): Promise<boolean> {
    for (const { member: to, role, epoch } of member.membership.replicas) {
      if (role !== 'voter' || to === member.number || !host.isUp(to)) continue;
      try {
        await host.handOver(former, to, epoch);
      } catch {
        continue;
      }
      const heir = this.member(to).shard;
      if (heir?.epoch === epoch) this.#options.onHandedOver?.(former, heir);
      return true;
    }
    return false;
  }

  /** The replica that a member still has stored although the shard's record does not name it any more. */
  former(member: EventualMember, epoch: number): EventualShard {
    const { host } = member;
    const engine = this.#engines.get(member)?.engine;
    const process = this.#engines.get(member)?.process;
    const generation = engine === undefined ? undefined : host?.generationOf(engine, 1, epoch);
    if (host === undefined || engine === undefined || process === undefined || generation === undefined) {
      throw new Error('the member has no such replica');
    }
    return new EventualShard(
      host,
      { shard: 1, generation },
      {
        ...{ type: 'mst', id: 1, epoch, collection: 'c', partition: 0, engine, clock: process.clock },
        ...{ limits: defaultLimits, levelKey, membership: { epoch: 0, replicas: [] }, isFounder: true },
      },
    );
  }

  /** Lets time pass until all are alike. False when that does not happen in time. */
  async converge(maxMs = 60_000): Promise<boolean> {
    for (let waited = 0; waited < maxMs; waited += 250) {
      await this.world.run(250);
      let roots: Set<string> | undefined;
      void Promise.all(this.shards.map((shard) => shard.announce())).then((all) => {
        roots = new Set(all.map(({ root }) => root));
      });
      await this.world.until(() => roots !== undefined, 2000);
      if (roots?.size === 1) return true;
    }
    return false;
  }

  /** Tombstones that some replica has not reaped. */
  get graves(): number {
    const disks = this.members.flatMap(({ shard, disk }) => (shard === undefined ? [] : [{ shard, disk }]));
    return disks.reduce(
      (sum, { shard, disk }) => sum + [...disk.range(graveBounds(shard.location, Infinity))].length,
      0,
    );
  }

  #newMember(number: number, membership: Membership): EventualMember {
    return {
      number,
      node: this.world.node(`n${String(number)}`),
      disk: createMemoryEngine(),
      shard: undefined,
      host: undefined,
      membership,
      isFollowing: false,
      owes: undefined,
      sentBytes: () => this.#sent.get(number) ?? 0,
    };
  }

  async #run(member: EventualMember, process: SimProcess): Promise<void> {
    // It may have crashed before it came to run.
    if (!process.isAlive) return;
    const { clock, timers, random } = process;
    const mesh = createSimMesh(this.network, process, { number: member.number });
    const count = (payload: MeshPayload): void => {
      const bytes =
        payload instanceof Uint8Array ? payload.length : payload.reduce((sum, part) => sum + part.length, 0);
      this.#sent.set(member.number, (this.#sent.get(member.number) ?? 0) + bytes);
    };
    const counted = counting(mesh, count);
    const rate = this.#options.rateOf?.(member.number, process);
    const engine = flushing(member.disk, process, this.#options.writeMs ?? 1);
    process.onCrash(() => {
      member.shard = undefined;
      member.host = undefined;
      member.isFollowing = false;
    });
    member.host = new EventualHost({
      ...{ mesh: counted, clock, timers, random, engines: [engine] },
      rateOf: rate === undefined ? undefined : () => rate,
      logger: createLogger({ service: 'test', level: 'silent' }),
      tuning: { ...quickEventual, ...this.#options.tuning },
    });
    this.#engines.set(member, { engine, process });
    const own = member.membership.replicas.find((replica) => replica.member === member.number);
    if (own !== undefined && member.owes === undefined) await this.follow(member, member.membership);
    this.#meshes.set(member, mesh);
    for (const one of this.members) this.#meshes.get(one)?.setPeers(this.#peersOf(one));
    // Nobody can be handed over to before there are peers.
    if (member.owes !== undefined) await this.follow(member, member.membership);
  }

  readonly #sent = new Map<number, number>();
  readonly #engines = new Map<EventualMember, { engine: Engine; process: SimProcess }>();
  readonly #meshes = new Map<EventualMember, ReturnType<typeof createSimMesh>>();

  #peersOf(member: EventualMember) {
    return this.members
      .filter((other) => other !== member)
      .map(({ number, node }) => ({ number, id: node.id, address: node.id }));
  }

  async #open(member: EventualMember, epoch: number): Promise<void> {
    const { host } = member;
    const owned = this.#engines.get(member);
    if (host === undefined || owned === undefined) return;
    const { engine, process } = owned;
    const { membership } = member;
    const own = membership.replicas.find((replica) => replica.member === member.number);
    const founds = own !== undefined && isFirst(membership, own);
    const stored = host.stored().get(1) ?? epoch;
    if (stored < epoch) await host.remove(1, stored);
    const { generation, isFounder } = await host.place(engine, 1, epoch, founds);
    if (!process.isAlive || member.shard !== undefined) return;
    const { type = 'basic', graceMs } = this.#options;
    const shard = new EventualShard(
      host,
      { shard: 1, generation },
      {
        ...{ type, id: 1, epoch, collection: 'c', partition: 0, engine, clock: process.clock },
        ...{ limits: defaultLimits, levelKey, membership, isFounder, graceMs },
      },
    );
    host.attach(shard);
    member.shard = shard;
    process.timers.every(200, () => {
      shard.expire(3);
    });
  }
}

/** Tells of every payload that goes out, answers too. */
function counting(mesh: Mesh, count: (payload: MeshPayload) => void): Mesh {
  return {
    self: mesh.self,
    send: (to, channel, payload) => {
      count(payload);
      return mesh.send(to, channel, payload);
    },
    request: (to, channel, payload, options) => {
      count(payload);
      return mesh.request(to, channel, payload, options);
    },
    stream: (to, channel, header, options) => mesh.stream(to, channel, header, options),
    onMessage: (channel, handler) => mesh.onMessage(channel, handler),
    onRequest: (channel, handler) =>
      mesh.onRequest(channel, async (payload, context) => {
        const answer = await handler(payload, context);
        count(answer);
        return answer;
      }),
    onStream: (channel, handler) => mesh.onStream(channel, handler),
    onLink: (handler) => mesh.onLink(handler),
    onRefused: (handler) => mesh.onRefused(handler),
    setPeers: (peers) => mesh.setPeers(peers),
    peers: () => mesh.peers(),
    isUp: (to) => mesh.isUp(to),
    close: () => mesh.close(),
  };
}

/** Writes take a moment, and those under way when the process crashes never happened. */
function flushing(disk: Engine, process: SimProcess, writeMs: number): Engine {
  return {
    ...disk,
    write: (operations) =>
      new Promise((resolve, reject) => {
        process.timers.after(writeMs, () => {
          disk.write(operations).then(resolve, reject);
        });
      }),
  };
}

type ObjectChange = Extract<Mutation, { type: 'change' }>;

export function put(objectId: string, entries: Readonly<Record<string, string>>, replace = false): ObjectChange {
  return {
    type: 'change',
    objectId,
    put: new Map(Object.entries(entries).map(([key, text]) => [key, { data: Buffer.from(text), type: 'bytes' }])),
    remove: [],
    replace,
  };
}

/** All that clients can see, as text. */
export function contentOf(reader: ShardReader): Map<string, string> {
  const all = new Map<string, string>();
  let cursor: Uint8Array | undefined;
  do {
    const { items, next } = reader.listObjects({ prefix: '', limit: 1024, cursor });
    for (const { id } of items) {
      const object = reader.object(id);
      const entries = [...(object?.entries ?? [])].map(([key, { data }]) => `${key}=${Buffer.from(data).toString()}`);
      all.set(id, `v${String(object?.meta.version)} ${entries.join(' ')}`);
    }
    cursor = next;
  } while (cursor !== undefined);
  return all;
}
