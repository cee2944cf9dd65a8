import { collectionOptionValues } from '@oaas/commons/config';
import { oaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import type { CollectionRecord, CollectionSpec, ShardRecord, ShardReplicaRecord } from '../meta/index.ts';
import { isFirst, isFounder, metaShard } from '../meta/index.ts';
import { type EventualHost, isUnreadable, type RaftHost } from '../replication/index.ts';
import {
  defaultLimits,
  EventualShard,
  openRaftShard,
  type RaftShardOptions,
  type ScanSource,
  type ShardHandle,
} from '../shard/index.ts';
import type { Engine, Storage } from '../storage/index.ts';
import type { EventHandOver } from './event-hand-over.ts';
import type { ReplicaFactory } from './replicas.ts';

/** Where replicas of one durability live. */
export interface ReplicaHome {
  readonly host: RaftHost;
  readonly engine: Engine;
}

type Durability = 'persistent' | 'ephemeral';

/** Makes replicas of shards on the hosts of a node. */
export class ShardFactory implements ReplicaFactory {
  readonly #homes: ReadonlyMap<Durability, ReplicaHome>;
  readonly #merging: EventualHost;
  readonly #eventHandOver: EventHandOver;
  readonly #levelKey: Uint8Array;
  readonly #notes: Storage;
  readonly #self: number;
  readonly #clock: Clock;
  readonly #onScan: (source: ScanSource) => void;
  readonly #fires: () => boolean;
  readonly #onEvents: (shard: number) => void;

  /** `notes` is the node's own storage, as durable as its member number. */
  constructor(options: {
    readonly homes: ReadonlyMap<Durability, ReplicaHome>;
    /** Of shards whose replicas merge. */
    readonly merging: EventualHost;
    readonly eventHandOver: EventHandOver;
    /** See {@link EventualShardOptions.levelKey}. */
    readonly levelKey: Uint8Array;
    readonly notes: Storage;
    readonly self: number;
    readonly clock: Clock;
    readonly onScan: (source: ScanSource) => void;
    /** Whether changes set off triggers now. */
    readonly fires: () => boolean;
    /** See {@link RaftShardOptions.onEvents}. */
    readonly onEvents: (shard: number) => void;
  }) {
    this.#homes = options.homes;
    this.#merging = options.merging;
    this.#eventHandOver = options.eventHandOver;
    this.#levelKey = options.levelKey;
    this.#notes = options.notes;
    this.#self = options.self;
    this.#clock = options.clock;
    this.#onScan = options.onScan;
    this.#fires = options.fires;
    this.#onEvents = options.onEvents;
  }

  async open(shard: ShardRecord, { spec }: CollectionRecord, replica: ShardReplicaRecord): Promise<ShardHandle> {
    const home = this.#homes.get(spec.durability);
    if (home === undefined) throw oaasError('Internal', `this node has no ${spec.durability} storage`);
    if (spec.durability === 'ephemeral' && shard.replicas.length > 1) await this.#checkLost(home, shard.id, replica);
    if (shard.merges) return this.#openMerging(home.engine, shard, spec, replica);
    // Whoever has been there since the first placement founds the group; whoever comes later gets a snapshot.
    const founds = isFounder(shard);
    const voters = founds ? shard.replicas.map(({ member }) => member) : [];
    const opened = await openRaftShard(
      home.host,
      {
        id: shard.id,
        epoch: replica.epoch,
        collection: spec.name,
        partition: shard.partition,
        engine: home.engine,
        clock: this.#clock,
        limits: collectionOptionValues(spec.options),
        onScan: this.#onScan,
        ...this.#eventsOf(shard.id),
      },
      { voters },
    );
    // Nobody needs to wait for an election timeout when it is clear who should lead.
    const members = opened.group.confState.voters;
    const shouldLead = members.length === 1 || (founds && (shard.preferredLeader ?? voters[0]) === this.#self);
    if (shouldLead && members.includes(this.#self)) opened.group.campaign();
    return opened;
  }

  async #openMerging(
    engine: Engine,
    shard: ShardRecord,
    spec: CollectionSpec,
    replica: ShardReplicaRecord,
  ): Promise<ShardHandle> {
    const merging = this.#merging;
    const { epoch } = replica;
    const { generation, isFounder: founded } = await merging.place(engine, shard.id, epoch, isFirst(shard, replica));
    const opened = new EventualShard(
      merging,
      { shard: shard.id, generation },
      {
        type: spec.shardType === 'mst' ? 'mst' : 'basic',
        ...{ id: shard.id, epoch, collection: spec.name, partition: shard.partition },
        ...{ engine, clock: this.#clock, limits: collectionOptionValues(spec.options), levelKey: this.#levelKey },
        ...{ membership: shard, isFounder: founded },
        ...this.#eventsOf(shard.id),
      },
    );
    merging.attach(opened);
    return opened;
  }

  #eventsOf(shard: number): Pick<RaftShardOptions, 'fires' | 'onEvents'> {
    return {
      fires: this.#fires,
      onEvents: () => {
        this.#onEvents(shard);
      },
    };
  }

  async remove(id: number, epoch: number, shard?: ShardRecord): Promise<void> {
    if (shard?.merges === true) await this.#handOver(shard, epoch);
    await this.#merging.remove(id, epoch);
    for (const { host } of this.#homes.values()) if (host.epochOf(id) === epoch) await host.remove(id);
  }

  /** Gives one of the shard's replicas what only this former one may have: what it took before it went away. */
  async #handOver(shard: ShardRecord, epoch: number): Promise<void> {
    for (const { engine } of this.#homes.values()) {
      const generation = this.#merging.generationOf(engine, shard.id, epoch);
      if (generation === undefined) continue;
      try {
        await this.#handOverFrom(engine, generation, shard, epoch);
      } catch (error) {
        // What cannot be read cannot be handed over, now or later.
        if (!isUnreadable(error)) throw error;
      }
    }
  }

  async #handOverFrom(engine: Engine, generation: number, shard: ShardRecord, epoch: number): Promise<void> {
    const merging = this.#merging;
    const former = new EventualShard(
      merging,
      { shard: shard.id, generation },
      {
        // Whichever it was: one of type basic has no labels and branches.
        type: 'mst',
        ...{ id: shard.id, epoch, collection: shard.collection, partition: shard.partition },
        ...{ engine, clock: this.#clock, limits: defaultLimits, levelKey: this.#levelKey },
        ...{ membership: { epoch: 0, replicas: [] }, isFounder: true },
      },
    );
    let problem: unknown = oaasError('Unavailable', 'no replica of the shard can be reached to hand over to');
    try {
      for (const { role, member, epoch: toEpoch } of shard.replicas) {
        if (role !== 'voter' || !merging.isUp(member)) continue;
        try {
          await merging.handOver(former, member, toEpoch);
          await this.#eventHandOver.send(member, former);
          return;
        } catch (error) {
          problem = error;
        }
      }
    } finally {
      await former.close();
    }
    throw toOaasError(problem);
  }

  stored(): ReadonlyMap<number, number> {
    const all = [...this.#homes.values()].flatMap(({ host }) => host.stored());
    const present = all.filter(({ state, group }) => state === 'present' && group !== metaShard);
    return new Map([...present.map(({ group, epoch }) => [group, epoch] as const), ...this.#merging.stored()]);
  }

  /**
   * A replica that kept nothing has forgotten its votes: if it took part again under the same name it could vote twice
   * in one term. So its name is noted before it begins, and a noted one that is empty stays out until it is made anew.
   */
  async #checkLost(home: ReplicaHome, shard: number, { epoch }: ShardReplicaRecord): Promise<void> {
    if (home.host.stored().some(({ group, state }) => group === shard && state === 'present')) return;
    if (this.#merging.stored().has(shard)) return;
    const key = noteKey(shard, epoch);
    if (this.#notes.get(key) !== undefined) {
      throw oaasError('DataLoss', 'the content of an ephemeral replica went with the last stop of its node', {
        remedy: 'A repair makes it anew from the other replicas.',
        details: { shard, epoch, lost: true },
      });
    }
    await this.#notes.write([{ type: 'put', key, value: Uint8Array.of(1) }]);
  }
}

/** Six bytes 0xff, which are no group, a letter of its own, the shard and the epoch. */
function noteKey(shard: number, epoch: number): Uint8Array {
  const key = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  key.writeUIntBE(shard, 7, 6);
  key.writeUInt32BE(epoch, 13);
  return key;
}
