import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock } from '@oaas/commons/time/system';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningNode, startNode } from '../../testkit/index.ts';

const types = ['raft', 'basic', 'mst'] as const;
let directory: TempDir;
let node: RunningNode;
/** How far the wall clock is ahead. */
let ahead = 0;

beforeAll(async () => {
  directory = await tempDir();
  node = await startNode({
    dataDir: directory.path,
    collections: types.map((shardType) => ({ name: shardType, shardType })),
    clock: { now: () => systemClock.now() + ahead, monotonic: () => systemClock.monotonic() },
  });
});
afterAll(async () => {
  await node.stop();
  await directory.remove();
});

describe.each(types)('an entry with a time to live, in a shard of type %s', (clsId) => {
  const at = { clsId, partitionId: 0, objectId: 'o' };
  const value = (text: string, times: { ttlMs?: number; expiresAtMs?: number } = {}) => ({
    data: Buffer.from(text),
    ...times,
  });
  const keys = async (): Promise<string[]> => Object.keys((await node.data.get(at)).obj?.entries ?? {}).sort();

  it('is there until its time has come, and says when that is; the entries beside it stay', async () => {
    await node.data.set({
      ...at,
      object: {
        entries: { stays: value('v'), short: value('v', { ttlMs: 60_000 }), long: value('v', { ttlMs: 3.6e6 }) },
      },
    });
    const { value: read } = await node.data.getValue({ ...at, key: 'short' });
    expect(read?.ttlMs).toBeUndefined();
    const left = Number(read?.expiresAtMs) - systemClock.now() - ahead;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(60_000);
    ahead += 60_000;
    expect(await keys()).toEqual(['long', 'stays']);
    expect((await node.data.getValue({ ...at, key: 'short' })).value).toBeUndefined();
  });

  it('keeps its time when it is written as it was read, and loses it when it is written without', async () => {
    const { obj } = await node.data.get(at);
    const before = obj?.entries['long']?.expiresAtMs;
    expect(before).toBeGreaterThan(0);
    await node.data.set({ ...at, object: { entries: obj?.entries ?? {} } });
    expect((await node.data.getValue({ ...at, key: 'long' })).value?.expiresAtMs).toBe(before);
    await node.data.setValue({ ...at, key: 'long', value: value('v') });
    expect((await node.data.getValue({ ...at, key: 'long' })).value?.expiresAtMs).toBeUndefined();
  });

  it('has one time, which is not now and not beyond what can be stored', async () => {
    for (const times of [{ ttlMs: 1, expiresAtMs: 1 }, { ttlMs: 0 }, { expiresAtMs: 2 ** 48 }, { ttlMs: 2 ** 52 }]) {
      const call = node.data.setValue({ ...at, key: 'wrong', value: value('v', times) });
      await expect(call).rejects.toMatchObject({ code: 'InvalidArgument' });
    }
    const batch = { ...at, values: { b: value('v', { ttlMs: 1000 }) }, deleteKeys: ['stays'] };
    await node.data.batchSetValues(batch);
    expect(await keys()).toEqual(['b', 'long']);
    ahead += 1000;
    expect(await keys()).toEqual(['long']);
  });
});
