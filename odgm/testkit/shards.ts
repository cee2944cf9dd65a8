import { createLogger } from '@oaas/commons/telemetry';
import { eventually, simulatedTime } from '@oaas/commons/testkit';
import type { Clock } from '@oaas/commons/time';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { EventualHost } from '../src/replication/index.ts';
import { defaultLimits, EventualShard, openRaftShard, type RaftShard, type ShardLimits } from '../src/shard/index.ts';
import type { Engine } from '../src/storage/index.ts';
import { createMemoryEngine } from '../src/storage/memory.ts';
import { startHost } from './hosts.ts';
import { startMember } from './mesh.ts';

/** What serves a collection: consensus, or replicas that merge, with and without a history. */
export const shardTypes = ['raft', 'basic', 'mst'] as const;
export type ShardType = (typeof shardTypes)[number];

export interface ShardStoreOptions {
  /** Default: in memory. */
  readonly engine?: Engine | undefined;
  readonly limits?: Partial<ShardLimits> | undefined;
  /** Says what has expired. */
  readonly clock?: Clock | undefined;
  /** Changes set off triggers. Default: they do not. */
  readonly fires?: boolean | undefined;
  /** Told when there are new events. */
  readonly onEvents?: (() => void) | undefined;
  /** Proposals that may wait, of shards of type raft. */
  readonly maxProposals?: number | undefined;
}

/** One node that has the only replica of each of its shards. */
export interface ShardStore {
  readonly engine: Engine;
  /** Makes the shard, or opens what is stored of it; it takes writes. */
  open(partition?: number): Promise<RaftShard | EventualShard>;
  stop(): Promise<void>;
}

export function startShardStore(type: ShardType, options: ShardStoreOptions = {}): Promise<ShardStore> {
  return type === 'raft' ? raftStore(options) : mergingStore(type, options);
}

async function raftStore({ engine, maxProposals, ...options }: ShardStoreOptions): Promise<ShardStore> {
  const host = await startHost(1, { engine, tuning: maxProposals === undefined ? {} : { maxProposals } });
  return {
    engine: host.engine,
    open: async (partition = 0) => {
      const config = { ...configOf(partition, options), epoch: 1, engine: host.engine };
      const isNew = !host.engine.groups().includes(config.id);
      const shard = await openRaftShard(host.host, config, isNew ? { voters: [1] } : undefined);
      shard.group.campaign();
      await eventually(() => shard.isPrimary, { intervalMs: 1 });
      return shard;
    },
    stop: () => host.stop(),
  };
}

async function mergingStore(type: 'basic' | 'mst', options: ShardStoreOptions): Promise<ShardStore> {
  const engine = options.engine ?? createMemoryEngine();
  const member = await startMember(1);
  const host = new EventualHost({
    ...{ mesh: member.mesh, engines: [engine], clock: systemClock, timers: systemTimers, random: systemRandom },
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
  return {
    engine,
    open: async (partition = 0) => {
      const config = configOf(partition, options);
      const { generation } = await host.place(engine, config.id, 1, true);
      const location = { shard: config.id, generation };
      const shard = new EventualShard(host, location, {
        ...{ ...config, type, epoch: 1, engine, levelKey: new Uint8Array(16), isFounder: true },
        membership: { epoch: 1, replicas: [{ member: 1, role: 'voter', epoch: 1 }] },
      });
      host.attach(shard);
      return shard;
    },
    stop: async () => {
      host.close();
      await member.stop();
      await engine.close();
    },
  };
}

function configOf(
  partition: number,
  { limits, clock = simulatedTime(1000).clock, fires = false, onEvents }: ShardStoreOptions,
) {
  return {
    ...{ id: 1 + partition, collection: 'c', partition, clock, limits: { ...defaultLimits, ...limits } },
    ...{ fires: () => fires, onEvents },
  };
}
