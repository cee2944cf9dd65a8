import { createGridAdminClient, type GridAdminClient } from '@oaas/commons/client';
import { oaasError } from '@oaas/commons/errors';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { data } from '@oaas/proto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type RunningGrid, type RunningNode, startGrid } from '../../testkit/index.ts';

/** A grid of three nodes, where no function that triggers name can be called. */
let directory: TempDir;
let grid: RunningGrid;
let nodes: readonly RunningNode[];
const client = (at = 0): GridAdminClient => createGridAdminClient((nodes[at] as RunningNode).channel);

const target = (clsId: string, fnId: string): data.TriggerTarget => data.TriggerTarget.fromPartial({ clsId, fnId });
const set = (collection: string, partitionId: number, objectId: string, targets: data.TriggerTarget[]) =>
  nodes[0]?.data.set({
    ...{ clsId: collection, partitionId, objectId },
    object: {
      entries: { a: { data: Buffer.from('1') } },
      event: data.ObjectEvent.fromPartial({ dataTrigger: { a: { onCreate: targets, onUpdate: targets } } }),
    },
  });

beforeAll(async () => {
  directory = await tempDir();
  grid = await startGrid({
    ...{ dataDir: directory.path, ids: ['n1', 'n2', 'n3'] },
    collections: [
      { name: 'agreed', partitionCount: 4, replicaCount: 3, shardType: 'raft' },
      { name: 'merged', partitionCount: 2, replicaCount: 2, shardType: 'mst' },
    ],
  });
  ({ nodes } = grid);
  for (let i = 0; i < 4; i++) await set('agreed', i, `o${String(i)}`, [target('no.Class', 'f')]);
  for (let i = 0; i < 2; i++) await set('merged', i, `m${String(i)}`, [target('agreed', 'missing')]);
  await eventually(async () => {
    expect(await ids()).toHaveLength(6);
  });
}, 60_000);
afterAll(async () => {
  await grid.stop();
  await directory.remove();
});

async function ids(filter: object = {}, at = 0): Promise<string[]> {
  const { deadLetters, incomplete } = await client(at).listDeadLetters(filter);
  expect(incomplete).toEqual([]);
  return deadLetters.map(({ id }) => id);
}

async function http(method: string, path: string, at = 0) {
  const response = await fetch(`${(nodes[at] as RunningNode).admin}/admin/dead-letters${path}`, { method });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('dead letters', () => {
  it('of the whole grid are listed by any node, in the order in which they died, page by page', async () => {
    const all = await ids();
    expect([...all].sort((a, b) => parseInt(a, 10) - parseInt(b, 10))).toEqual(all);
    for (let at = 0; at < 3; at++) {
      expect(await ids({}, at)).toEqual(all);
      const pages: string[][] = [];
      let cursor = '';
      do {
        const page = await client(at).listDeadLetters({ limit: 4, cursor });
        pages.push(page.deadLetters.map(({ id }) => id));
        cursor = page.nextCursor;
      } while (cursor !== '');
      expect(pages).toEqual([all.slice(0, 4), all.slice(4)]);
    }
  });

  it('are filtered by collection, function and reason', async () => {
    expect(await ids({ collection: 'merged' })).toHaveLength(2);
    expect(await ids({ functionKey: 'no.Class.f' })).toHaveLength(4);
    expect(await ids({ functionKey: 'missing', collection: 'agreed' })).toEqual([]);
    expect(await ids({ reason: 'unknown-target' })).toHaveLength(6);
    expect(await ids({ reason: 'depth' })).toEqual([]);
    expect((await http('GET', '?collection=agreed&limit=3', 1)).body['dead_letters']).toHaveLength(3);
  });

  it('are shown with whose trigger it was, whom it was for, why it failed and what would have been told', async () => {
    const [id = ''] = await ids({ collection: 'agreed' });
    const { status, body } = await http('GET', `/${id}`, 2);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      ...{ id, function_key: 'no.Class.f', collection: 'agreed', key: 'a', event_type: 'data_create', attempts: 1 },
      ...{ reason: 'unknown-target', depth: 1, target_object_id: '' },
      error: expect.stringContaining('there is no collection or class') as string,
      payload: {
        event_info: { source_cls_id: 'agreed', key: 'a', event_type: 'data_create', context: { version_after: '1' } },
        original_payload: null,
      },
    });
    expect(Date.parse(body['died_at'] as string)).toBeGreaterThanOrEqual(Date.parse(body['created_at'] as string));
  });

  it('are refused where they are none, or the question makes no sense', async () => {
    expect(await http('GET', '/1-1-1-1-1')).toMatchObject({ status: 404, body: { code: 'NotFound' } });
    expect(await http('GET', '/nonsense')).toMatchObject({ status: 400, body: { code: 'InvalidArgument' } });
    expect(await http('GET', '?reason=bad')).toMatchObject({ status: 400 });
    expect(await http('GET', '?limit=201')).toMatchObject({ status: 400 });
    expect(await http('GET', '?colection=agreed')).toMatchObject({ status: 400 });
    expect(await http('POST', '/1-1-1-1-1/replay')).toMatchObject({ status: 404 });
    expect(await http('POST', '/replay')).toMatchObject({ status: 400 });
    expect(await http('POST', '/purge')).toMatchObject({ status: 400 });
    await expect(client().purgeDeadLetters({})).rejects.toMatchObject({ code: 'InvalidArgument' });
    expect(await client().purgeDeadLetters({ ids: ['1-1-1-1-1'] })).toMatchObject({ affected: 0, failed: 1 });
    expect(await ids()).toHaveLength(6);
  });

  it('are told by the diagnostics, with what fails', async () => {
    await eventually(async () => {
      const { events } = await client().getDiagnostics({});
      const codes = new Set(events.map(({ code }) => code));
      expect([...codes].sort()).toEqual(['events.dead-letters', 'events.failing']);
      expect(events.find(({ code }) => code === 'events.failing')?.message).toMatch(/no\.Class\.f|agreed\.missing/);
    });
  });

  it('are replayed one by one, by a filter or all: what fails again is a dead letter again, under another id', async () => {
    const before = await ids({ collection: 'merged' });
    const [one = ''] = before;
    const eventOf = async (id: string) => (await client().listDeadLetters({ id })).deadLetters[0]?.eventId;
    const event = await eventOf(one);
    expect((await http('POST', '/replay?collection=merged&dry_run=true', 2)).body).toMatchObject({ affected: 2 });
    expect(await ids({ collection: 'merged' })).toEqual(before);
    expect((await http('POST', `/${one}/replay`, 2)).body).toMatchObject({ affected: 1, failed: 0 });
    await eventually(async () => {
      const after = await ids({ collection: 'merged' });
      expect(after).toHaveLength(2);
      expect(after).not.toContain(one);
      // It is the same event to whoever gets it.
      expect(await Promise.all(after.map(eventOf))).toContain(event);
    });
    const agreed = await ids({ collection: 'agreed' });
    expect(await client(1).replayDeadLetters({ collection: 'agreed' })).toMatchObject({ affected: 4, failed: 0 });
    await eventually(async () => {
      const after = await ids({ collection: 'agreed' });
      expect(after).toHaveLength(4);
      expect(after.filter((id) => agreed.includes(id))).toEqual([]);
    });
  });

  it('of a shard that refuses to have them changed stay, and the answer says which shard and why', async () => {
    const listed = (await client().listDeadLetters({ collection: 'agreed' })).deadLetters;
    const [kept] = listed.filter(({ partition }) => partition === 1).map(({ id }) => id);
    const [refusing] = nodes
      .flatMap(({ program }) => program.node.collections().flatMap((collection) => collection.handles()))
      .filter(({ collection, partition, outbox }) => collection === 'agreed' && partition === 1 && outbox.isActive);
    const disk = vi.spyOn(refusing!.outbox, 'change').mockRejectedValue(oaasError('StorageFull', 'the disk is full'));
    // Whichever node is asked, and whether that is the one that has it.
    for (let at = 0; at < 3; at++) {
      expect(await client(at).purgeDeadLetters({ ids: [kept ?? ''] })).toEqual({
        ...{ affected: 0, failed: 1, incomplete: ['agreed/1: the disk is full'] },
      });
    }
    disk.mockRestore();
    expect(await ids({ collection: 'agreed' })).toContain(kept);
  });

  it('are gone when they are purged', async () => {
    const [one = '', ...others] = await ids({ collection: 'agreed' });
    expect((await http('POST', `/${one}/purge`, 1)).body).toMatchObject({ affected: 1 });
    expect(await ids({ collection: 'agreed' })).toEqual(others);
    expect(await client(2).purgeDeadLetters({ all: true })).toMatchObject({ affected: 5, failed: 0 });
    expect(await ids()).toEqual([]);
    await eventually(async () => {
      const codes = (await client().getDiagnostics({})).events.map(({ code }) => code);
      expect(codes).not.toContain('events.dead-letters');
    });
  });

  it('of a member that is gone are said to be missing', async () => {
    await set('merged', 0, 'm0', [target('agreed', 'missing')]);
    await nodes[2]?.stop();
    const { incomplete } = await client().listDeadLetters({});
    expect(incomplete.join()).toContain('n3');
  });
});
