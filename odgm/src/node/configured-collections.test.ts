import { createLogger } from '@oaas/commons/telemetry';
import { systemTimers } from '@oaas/commons/time/system';
import { describe, expect, it } from 'vitest';
import type { CollectionSpec, MetaGroup } from '../meta/index.ts';
import { createMetaState, type NewCommand } from '../meta/index.ts';
import { ConfiguredCollections } from './configured-collections.ts';

const ask = {
  ...{ name: 'c', classIds: [], partitionCount: 1, replicaCount: 3, durability: 'persistent' as const, options: {} },
  invocations: { fnRoutes: {}, disabledFn: [] },
};

/** What is proposed by a member that hears of what there is only when it asks. */
async function proposedFor(known: CollectionSpec | undefined): Promise<NewCommand[]> {
  const state = createMetaState();
  const proposed: NewCommand[] = [];
  const meta = {
    state,
    catchUp: () => {
      if (known === undefined) return Promise.resolve();
      state.collections.set('c', { spec: known, createdAt: 0, updatedAt: 0, status: 'ready', shards: [1] });
      return Promise.resolve();
    },
    propose: (command: NewCommand) => Promise.resolve(void proposed.push(command)),
  };
  const configured = new ConfiguredCollections({
    ...{ timers: systemTimers, signal: new AbortController().signal },
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
  await configured.put(meta as unknown as MetaGroup, [ask], []);
  await configured.put(meta as unknown as MetaGroup, [{ ...ask, shardType: 'mst' }], []);
  return proposed;
}

describe('a collection of a configuration', () => {
  it('without a type gets the default when it is new, and an explicit type goes as it is', async () => {
    expect(await proposedFor(undefined)).toMatchObject([
      { type: 'putCollection', spec: { shardType: 'raft' } },
      { type: 'putCollection', spec: { shardType: 'mst' } },
    ]);
  });

  it('without a type has that which it has by now, also where this member has not heard of it yet', async () => {
    expect(await proposedFor({ ...ask, shardType: 'basic' })).toMatchObject([
      { type: 'putCollection', spec: { shardType: 'basic' } },
      { type: 'putCollection', spec: { shardType: 'mst' } },
    ]);
  });
});
