import { createGridAdminClient, type GridAdminClient } from '@oaas/commons/client';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { type RunningNode, startNode } from '@oaas/odgm/testkit';
import { data } from '@oaas/proto';
import { counterUnit, type CrmUnderTest, startCrm, token } from '@oaas/reconciler/testkit/crm-under-test';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** A CRM and a node of a grid, both real, where no function that triggers name can be called. */
let directory: TempDir;
let node: RunningNode;
let crm: CrmUnderTest;
let client: GridAdminClient;
let direct: GridAdminClient;

const unit = counterUnit('letters');
const deploymentId = unit.id;

beforeAll(async () => {
  directory = await tempDir();
  const collections = ['c', 'd'].map((name) => ({ name, partitionCount: 1 }));
  node = await startNode({ dataDir: directory.path, collections });
  direct = createGridAdminClient(node.channel);
  crm = await startCrm(node.admin);
  client = createGridAdminClient(crm.channel, { metadata: { authorization: `Bearer ${token}` } });
  await crm.client.deploy({ deploymentUnit: unit });
  // The way to the grid is a service that the CRM makes.
  await eventually(() => client.listTasks({ deploymentId }).then(() => true));
  const missing = [data.TriggerTarget.fromPartial({ clsId: 'no.Class', fnId: 'f' })];
  const event = data.ObjectEvent.fromPartial({ dataTrigger: { a: { onCreate: missing } } });
  for (const [clsId, objectId] of ['c/o1', 'c/o2', 'c/o3', 'd/o4'].map((name) => name.split('/'))) {
    const object = { entries: { a: { data: Buffer.from('1') } }, event };
    await node.data.set({ clsId: clsId ?? '', partitionId: 0, objectId: objectId ?? '', object });
  }
  await eventually(async () => {
    expect((await direct.listDeadLetters({})).deadLetters).toHaveLength(4);
  });
}, 60_000);
afterAll(async () => {
  await crm.stop();
  await node.stop();
  await directory.remove();
});

const idsOf = async (filter: object = {}): Promise<string[]> =>
  (await direct.listDeadLetters(filter)).deadLetters.map(({ id }) => id);

describe('dead letters of a grid through its CRM', () => {
  it('are listed as on the grid itself, with what the function would have been told, page by page and filtered', async () => {
    const all = await direct.listDeadLetters({});
    expect(await client.listDeadLetters({ deploymentId })).toEqual(all);
    expect(data.TriggerPayload.decode(all.deadLetters[0]!.payload).eventInfo).toMatchObject({
      ...{ eventType: data.EventType.EVENT_TYPE_DATA_CREATE, context: { version_after: '1' } },
    });
    const first = await client.listDeadLetters({ deploymentId, limit: 3 });
    expect(first.deadLetters).toEqual(all.deadLetters.slice(0, 3));
    const second = await client.listDeadLetters({ deploymentId, limit: 3, cursor: first.nextCursor });
    expect([second.deadLetters, second.nextCursor]).toEqual([all.deadLetters.slice(3), '']);
    for (const [filter, count] of [
      [{ collection: 'd' }, 1],
      [{ functionKey: 'no.Class.f' }, 4],
      [{ functionKey: 'g' }, 0],
      [{ reason: 'depth' }, 0],
      [{ id: all.deadLetters[1]!.id }, 1],
      [{ id: '1-1-1-1-1' }, 0],
    ] as const) {
      const list = await client.listDeadLetters({ deploymentId, ...filter });
      expect(list.deadLetters, JSON.stringify(filter)).toHaveLength(count);
      expect(list).toEqual(await direct.listDeadLetters(filter));
    }
  });

  it('are replayed by their ids or a filter, and only counted by a dry run', async () => {
    const before = await idsOf();
    const [one = '', two = ''] = before;
    const dry = await client.replayDeadLetters({ deploymentId, all: true, dryRun: true });
    expect(dry).toEqual({ affected: 4, failed: 0, incomplete: [] });
    expect(await idsOf()).toEqual(before);
    const replayed = await client.replayDeadLetters({ deploymentId, ids: [one, two, '1-1-1-1-1'] });
    expect(replayed).toEqual({ affected: 2, failed: 1, incomplete: [] });
    // What fails again is a dead letter again, under another id.
    await eventually(async () => {
      const after = await idsOf();
      expect([after.length, after.includes(one), after.includes(two)]).toEqual([4, false, false]);
    });
  });

  it('are purged, those that are selected alone', async () => {
    const [one = '', ...others] = await idsOf({ collection: 'c' });
    const result = { affected: 1, failed: 0, incomplete: [] };
    expect(await client.purgeDeadLetters({ deploymentId, ids: [one] })).toEqual(result);
    expect(await idsOf({ collection: 'c' })).toEqual(others);
    expect(await client.purgeDeadLetters({ deploymentId, collection: 'd' })).toEqual(result);
    expect(await idsOf()).toEqual(others);
  });

  it('are refused as the grid refuses them, with its remedy, and without the token, by the CRM', async () => {
    const before = await idsOf();
    const stranger = createGridAdminClient(crm.channel);
    await expect(stranger.listDeadLetters({ deploymentId })).rejects.toMatchObject({ code: 'Unauthenticated' });
    const purge = stranger.purgeDeadLetters({ deploymentId, all: true });
    await expect(purge).rejects.toMatchObject({ code: 'Unauthenticated' });
    const many = Array.from({ length: 201 }, () => '1-1-1-1-1');
    for (const [call, code, text] of [
      [() => client.purgeDeadLetters({ deploymentId }), 'InvalidArgument', 'nothing is selected'],
      [() => client.replayDeadLetters({ deploymentId, ids: ['x'] }), 'InvalidArgument', '"x"'],
      [() => client.purgeDeadLetters({ deploymentId, ids: many }), 'InvalidArgument', 'ids: there are 201'],
      [() => client.listDeadLetters({ deploymentId, limit: 201 }), 'InvalidArgument', 'limit'],
      [() => client.listDeadLetters({ deploymentId, reason: 'bad' }), 'InvalidArgument', 'reason'],
      [() => client.listDeadLetters({}), 'InvalidArgument', 'deployment_id'],
      [() => client.purgeDeadLetters({ deploymentId: 'none', all: true }), 'NotFound', 'none'],
    ] as const) {
      await expect(call()).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
    }
    expect(await idsOf()).toEqual(before);
  });
});
