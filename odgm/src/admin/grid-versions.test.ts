import { createGridAdminClient, type GridAdminClient } from '@oaas/commons/client';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGrid, type RunningNode, startGrid, startNode } from '../../testkit/index.ts';

let directory: TempDir;
let node: RunningNode;
let client: GridAdminClient;

beforeAll(async () => {
  directory = await tempDir();
  const collections = [{ name: 'm', shardType: 'mst', partitionCount: 2 }, { name: 'b' }];
  node = await startNode({ dataDir: directory.path, collections });
  client = createGridAdminClient(node.channel);
});
afterAll(async () => {
  await node.stop();
  await directory.remove();
});

const of = { collection: 'm', partition: 1 };
const target = { clsId: 'm', partitionId: 1, objectId: 'o' };
const set = (text: string) => node.data.set({ ...target, object: { entries: { k: { data: Buffer.from(text) } } } });
const current = async (): Promise<string> =>
  (await node.data.getValue({ ...target, key: 'k' })).value?.data.toString() ?? '';

describe('versions over gRPC', () => {
  it('are recorded, labelled, listed, read and compared', async () => {
    await set('one');
    const first = await client.recordVersion({ of, label: 'start' });
    expect(first).toMatchObject({ label: 'start', root: expect.stringMatching(/^[0-9a-f]+$/) as string });
    await set('two');
    const second = await client.recordVersion({ of });
    const labelled = await client.labelVersion({ of, sequence: second.sequence, label: 'next' });
    expect(labelled).toEqual({ ...second, label: 'next' });
    const listed = await client.listVersions(of);
    expect(listed.node).toBe('n1');
    expect(listed.versions.filter(({ label }) => label !== '').map(({ label }) => label)).toEqual(['start', 'next']);
    const old = await client.getObjectAt({ of, at: 'start', objectId: 'o' });
    expect(old).toMatchObject({ root: first.root, version: 1 });
    expect(old.entries['k']?.data.toString()).toBe('one');
    const { differences, next } = await client.diffVersions({ of, from: 'start' });
    expect(next).toBe('');
    const entry = differences.find(({ key }) => key === 'k');
    expect([entry?.before?.data.toString(), entry?.after?.data.toString()]).toEqual(['one', 'two']);
    const object = differences.find(({ key }) => key === '');
    expect([object?.versionBefore, object?.versionAfter]).toEqual([1, 2]);
  });

  it('branch, and come together again with a list of what both sides changed', async () => {
    await set('main');
    expect(await client.createBranch({ of, branch: 'try' })).toMatchObject({ name: 'try' });
    const put = { k: { data: Buffer.from('branch') } };
    await client.writeBranch({ of, branch: 'try', objectId: 'o', put });
    await set('later');
    const dry = await client.mergeBranch({ of, branch: 'try', policy: 'theirs', dryRun: true });
    expect(dry).toMatchObject({ done: false, objects: ['o'] });
    expect(await current()).toBe('later');
    const { conflicts } = await client.mergeBranch({ of, branch: 'try' });
    expect(conflicts).toMatchObject([{ objectId: 'o', key: 'k' }]);
    expect(['base', 'ours', 'theirs'].map((side) => conflicts[0]?.[side as 'base']?.data.toString())).toEqual([
      'main',
      'later',
      'branch',
    ]);
    expect(await client.mergeBranch({ of, branch: 'try', policy: 'theirs' })).toMatchObject({ done: true });
    expect(await current()).toBe('branch');
    expect(await client.deleteBranch({ of, branch: 'try' })).toEqual({ deleted: true });
    expect(await client.deleteBranch({ of, branch: 'try' })).toEqual({ deleted: false });
  });

  it('are refused with the field and the remedy where they cannot be', async () => {
    const refused = (text: string) => ({ code: 'InvalidArgument', message: expect.stringContaining(text) as string });
    await expect(client.listVersions({ collection: 'b' })).rejects.toMatchObject({ code: 'FailedPrecondition' });
    await expect(client.listVersions({ collection: 'none' })).rejects.toMatchObject({ code: 'NotFound' });
    await expect(client.listVersions({})).rejects.toMatchObject(refused('collection'));
    await expect(client.listVersions({ collection: 'm', partition: 2 })).rejects.toMatchObject(refused('partition 2'));
    await expect(client.diffVersions({ of })).rejects.toMatchObject(refused('from'));
    await expect(client.diffVersions({ of, from: 'never' })).rejects.toMatchObject({ code: 'NotFound' });
    await expect(client.mergeBranch({ of, branch: 'try', policy: 'mine' })).rejects.toMatchObject(refused('policy'));
    await client.createBranch({ of, branch: 'other' });
    const put = { 'Not An Id': { data: Buffer.from('v') } };
    const write = client.writeBranch({ of, branch: 'other', objectId: 'o', put });
    await expect(write).rejects.toMatchObject(refused('Not An Id'));
    for (const [method, path, known] of [
      ['GET', 'versions?partitoin=1', 'partition'],
      ['POST', 'versions/record?lable=x', 'partition, label'],
      ['POST', 'versions/label?sequence=1&lable=x', 'sequence, label'],
      ['GET', 'versions/diff?from=now&till=now', 'from, to, start'],
      ['GET', 'versions/objects/o?when=now', 'partition, at'],
      ['POST', 'branches/new?form=start', 'partition, from'],
      ['DELETE', 'branches/other?force=true', 'partition'],
      ['POST', 'branches/other/objects/o?replace=true', 'partition'],
      ['POST', 'branches/other/merge?policy=theirs&dryrun=true', 'policy, dry_run'],
      ['POST', 'branches/other/merge?policy=ours&policy=theirs', 'once'],
    ] as const) {
      const response = await fetch(`${node.admin}/admin/collections/m/${path}`, { method });
      expect([response.status, await response.text()], path).toEqual([400, expect.stringContaining(known) as string]);
    }
    expect((await client.listVersions(of)).branches.map(({ name }) => name)).toEqual(['other']);
    const response = await fetch(`${node.admin}/admin/collections/m/versions?partition=x`);
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('partition') as string]);
  });
});

describe('versions of a partition with two replicas on three nodes', () => {
  let grid: RunningGrid;
  let files: TempDir;
  const m = { collection: 'm' };
  const adminOf = (at: RunningNode) => createGridAdminClient(at.channel);
  const ask = async (at: RunningNode, path: string, method = 'GET', body?: object) => {
    const init = {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    };
    const response = await fetch(`${at.admin}/admin/collections/m/${path}`, init);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  const labelsOf = (body: Record<string, unknown>): string[] =>
    (body['versions'] as { label: string | null }[]).flatMap(({ label }) => label ?? []).filter((one) => one !== '');

  beforeAll(async () => {
    files = await tempDir();
    const collections = [{ name: 'm', shardType: 'mst', partitionCount: 1, replicaCount: 2 }];
    grid = await startGrid({ dataDir: files.path, ids: ['n1', 'n2', 'n3'], collections });
  });
  afterAll(async () => {
    await grid.stop();
    await files.remove();
  });

  it('are the same whichever node is asked, over both interfaces, and say who keeps them', async () => {
    const { nodes } = grid;
    const { state } = nodes[0]!.program.node.meta!;
    const replicas = [...state.shards.values()].find(({ collection }) => collection === 'm')!.replicas;
    const [holder, second] = replicas.map(({ member }) => state.members.get(member)!.id);
    const without = nodes.find(({ id }) => id !== holder && id !== second)!;
    const object = { entries: { k: { data: Buffer.from('main') } } };
    await nodes.find(({ id }) => id === holder)!.data.set({ clsId: 'm', objectId: 'o', object });

    expect(await adminOf(without).createBranch({ of: m, branch: 'try' })).toMatchObject({ node: holder });
    for (const [i, node] of nodes.entries()) {
      const label = `by-${node.id}`;
      const recorded = await ask(node, `versions/record?label=${label}`, 'POST');
      // The same content is the same version: it keeps the label that it was given last.
      expect(recorded).toMatchObject({ status: 200, body: { label, node: holder } });
      expect(await ask(node, `versions/objects/o?at=${label}`)).toMatchObject({ body: { version: 1 } });
      const put = { k: { data: Buffer.from(`branch ${String(i)}`).toString('base64') } };
      expect(await ask(node, 'branches/try/objects/o', 'POST', { put })).toMatchObject({ body: { version: i + 2 } });
      expect(await adminOf(node).listVersions(m)).toMatchObject({ node: holder, branches: [{ name: 'try' }] });
      const { differences } = await adminOf(node).diffVersions({ of: m, from: 'now', to: 'try' });
      expect(differences.find(({ key }) => key === 'k')?.after?.data.toString()).toBe(`branch ${String(i)}`);
    }
    // The other replica has the same labels and branches.
    const other = await ask(without, `versions?node=${second}`);
    expect(other).toMatchObject({ status: 200, body: { node: second, branches: [{ name: 'try' }] } });
    expect(labelsOf(other.body)).toEqual(['by-n3']);
    const none = await ask(nodes[0]!, `versions?node=${without.id}`);
    expect([none.status, none.body['remedy']]).toEqual([404, expect.stringContaining(`${holder}, ${second}`)]);
    await expect(adminOf(without).listVersions(m, { metadata: { 'x-oaas-hop': '1' } })).rejects.toMatchObject({
      code: 'NoLeader',
    });
    expect(await ask(without, 'branches/try/merge', 'POST')).toMatchObject({ body: { is_done: true, objects: ['o'] } });
    expect(await ask(without, 'versions/objects/o')).toMatchObject({ body: { version: 2 } });

    // Without the one that was asked so far the other replica answers; who is meant by name is waited for.
    await nodes.find(({ id }) => id === holder)!.stop();
    await eventually(async () => {
      const answer = await ask(without, 'versions');
      expect(answer).toMatchObject({ body: { node: second, branches: [{ name: 'try' }] } });
      expect(labelsOf(answer.body)).toEqual(['by-n3']);
    });
    const content = async (at: string): Promise<string | undefined> => {
      const { entries } = await adminOf(without).getObjectAt({ of: m, at, objectId: 'o' });
      return entries['k']?.data.toString();
    };
    expect([await content('by-n3'), await content('try')]).toEqual(['main', 'branch 2']);
    const away = await ask(without, `versions?node=${holder}`);
    expect([away.status, away.body['detail']]).toEqual([503, expect.stringContaining('can be reached')]);
    await nodes.find(({ id }) => id === second)!.stop();
    await eventually(async () => {
      expect((await ask(without, 'versions')).status).toBe(503);
    });
  });
});
