import type { Clock } from '@oaas/commons/time';
import type { CollectionRecord, ShardRecord, ShardReplicaRecord } from '../meta/index.ts';
import { metaShard } from '../meta/index.ts';
import type { RaftHost } from '../replication/index.ts';
import { openRaftShard, type ShardHandle } from '../shard/index.ts';
import type { Engine } from '../storage/index.ts';
import { limitsOf } from './collection.ts';
import type { ReplicaFactory } from './replicas.ts';

/** Makes replicas of shards on the hosts of a node. */
export class ShardFactory implements ReplicaFactory {
  readonly #host: RaftHost;
  readonly #engine: Engine;
  readonly #self: number;
  readonly #clock: Clock;

  constructor(options: {
    readonly host: RaftHost;
    readonly engine: Engine;
    readonly self: number;
    readonly clock: Clock;
  }) {
    this.#host = options.host;
    this.#engine = options.engine;
    this.#self = options.self;
    this.#clock = options.clock;
  }

  async open(shard: ShardRecord, { spec }: CollectionRecord, replica: ShardReplicaRecord): Promise<ShardHandle> {
    // Whoever has been there since the first placement founds the group; whoever comes later gets a snapshot.
    const isFounder = shard.epoch === replica.epoch && shard.epoch === 1;
    const voters = isFounder ? shard.replicas.map(({ member }) => member) : [];
    const opened = await openRaftShard(
      this.#host,
      {
        id: shard.id,
        epoch: replica.epoch,
        collection: spec.name,
        partition: shard.partition,
        engine: this.#engine,
        clock: this.#clock,
        limits: limitsOf(spec),
      },
      { voters },
    );
    // Nobody needs to wait for an election timeout when it is clear who should lead.
    const isAlone = opened.group.confState.voters.length === 1;
    const shouldLead = isAlone || (isFounder && (shard.preferredLeader ?? voters[0]) === this.#self);
    if (shouldLead && opened.group.confState.voters.includes(this.#self)) opened.group.campaign();
    return opened;
  }

  remove(shard: number): Promise<void> {
    return this.#host.remove(shard);
  }

  stored(): readonly number[] {
    return this.#host
      .stored()
      .filter(({ state, group }) => state === 'present' && group !== metaShard)
      .map(({ group }) => group);
  }
}
