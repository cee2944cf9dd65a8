import type { Logger } from '@oaas/commons/telemetry';
import { simulatedTime } from '@oaas/commons/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { createMetaState, type MetaState, type ShardReplicaRecord } from '../meta/index.ts';
import type { ShardHandle } from '../shard/index.ts';
import { Replicas } from './replicas.ts';

const self = 1;
const log: string[] = [];
let stored: Map<number, number>;
let isCurrent: boolean;
let merges: boolean;
/** Whether there is somebody to hand over to, and what has to be waited for. */
let isHeard: boolean;
let slow: Promise<void>;
let state: MetaState;
let replicas: Replicas;
let time: ReturnType<typeof simulatedTime>;

/** Shard 7 of a collection of one, with these replicas, as the meta state says. */
function shard(...records: ShardReplicaRecord[]): void {
  const shardOf = { id: 7, collection: 'c', partition: 0, epoch: 9, replicas: records, merges };
  state.shards.set(7, shardOf as never);
  state.collections.set('c', { spec: { name: 'c' }, shards: [7] } as never);
  state.next.shard = 8;
}

beforeEach(() => {
  log.length = 0;
  stored = new Map([[7, 3]]);
  isCurrent = false;
  merges = false;
  isHeard = true;
  slow = Promise.resolve();
  time = simulatedTime();
  state = createMetaState();
  const nothing = (): void => undefined;
  replicas = new Replicas({
    self,
    logger: { warn: nothing, error: nothing } as unknown as Logger,
    timers: time.timers,
    factory: {
      open: ({ id }, _, { epoch }) => {
        log.push(`open ${String(id)} of epoch ${String(epoch)}`);
        return Promise.resolve({ id, close: () => Promise.resolve(), setLimits: nothing } as unknown as ShardHandle);
      },
      remove: async (id, _, handOverTo) => {
        if (handOverTo?.merges === true) log.push(`hand over ${String(id)}`);
        if (!isHeard) throw new Error('nobody is there');
        await slow;
        log.push(`remove ${String(id)}`);
        stored.delete(id);
      },
      stored: () => stored,
    },
    onOpen: nothing,
    onClose: nothing,
    onProblem: nothing,
    isSuspect: () => false,
    isCurrent: () => isCurrent,
  });
});

describe('a stored replica that the meta state does not want', () => {
  it('stays while the state may be older than the replica, as after a kill, and goes once it cannot be', async () => {
    shard({ member: 2, role: 'voter', epoch: 1 });
    await replicas.sync(() => state);
    expect(log).toEqual([]);
    isCurrent = true;
    await replicas.sync(() => state);
    await time.advance(0);
    expect(log).toEqual(['remove 7']);
  });

  it('stays, and is not opened as it was, while the state wants an earlier one', async () => {
    shard({ member: self, role: 'voter', epoch: 2 });
    await replicas.sync(() => state);
    expect(log).toEqual([]);
  });

  it('gives way to a later one at once', async () => {
    shard({ member: self, role: 'voter', epoch: 4 });
    await replicas.sync(() => state);
    expect(log).toEqual(['remove 7', 'open 7 of epoch 4']);
  });

  it('hands over what only it may have before its successor opens, where replicas merge', async () => {
    merges = true;
    isHeard = false;
    shard({ member: self, role: 'learner', epoch: 4 }, { member: 2, role: 'voter', epoch: 1 });
    await replicas.sync(() => state);
    await time.advance(0);
    expect(log).toEqual(['hand over 7']);
    isHeard = true;
    // Nothing else may change for long.
    await time.advance(2000);
    expect(log.slice(1)).toEqual(['hand over 7', 'remove 7', 'open 7 of epoch 4']);
  });

  it('holds up no other replica while it hands over much', async () => {
    merges = true;
    let isOver = (): void => undefined;
    slow = new Promise((resolve) => {
      isOver = resolve;
    });
    shard({ member: self, role: 'learner', epoch: 4 }, { member: 2, role: 'voter', epoch: 1 });
    await replicas.sync(() => state);
    const other = {
      id: 8,
      collection: 'c',
      partition: 1,
      epoch: 9,
      replicas: [{ member: self, role: 'voter', epoch: 1 }],
    };
    state.shards.set(8, { ...other, merges } as never);
    state.collections.set('c', { spec: { name: 'c' }, shards: [7, 8] } as never);
    await replicas.sync(() => state);
    expect(log).toEqual(['hand over 7', 'open 8 of epoch 1']);
    isOver();
    await time.advance(0);
    expect(log.slice(2)).toEqual(['remove 7', 'open 7 of epoch 4']);
  });
});
