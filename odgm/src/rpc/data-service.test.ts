import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { data } from '@oaas/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningNode, startNode } from '../../testkit/index.ts';

let directory: TempDir;
let node: RunningNode;

beforeAll(async () => {
  directory = await tempDir();
  node = await startNode({
    dataDir: directory.path,
    collections: [
      { name: 'things', classIds: ['shop.Thing'], partitionCount: 4 },
      { name: 'volatile', durability: 'ephemeral' },
      { name: 'agreed', shardType: 'mst', replicaCount: 3 },
      { name: 'small', options: { maxValueBytes: 4 } },
      ...['raft', 'basic', 'mst'].map((shardType) => ({ name: `merged-${shardType}`, shardType })),
    ],
  });
});

afterAll(async () => {
  await node.stop();
  await directory.remove();
});

const at = (objectId: string, partitionId = 0) => ({ clsId: 'things', partitionId, objectId });
const val = (text: string) => ({ data: Buffer.from(text) });
const auto = { metadata: { 'x-oaas-partition': 'auto' } };

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('objects', () => {
  it('are found by class id and by collection name alike', async () => {
    await node.data.set({ clsId: 'shop.Thing', partitionId: 0, objectId: 'a', object: { entries: { k: val('v') } } });
    const { obj } = await node.data.get(at('a'));
    expect(obj?.entries['k']?.data.toString()).toBe('v');
    expect(obj?.metadata).toMatchObject({ clsId: 'things', partitionId: 0, objectId: 'a', version: 1 });
  });

  it('have lower-case ids whatever the caller writes', async () => {
    await node.data.set({ ...at('MiXed'), object: { entries: { Key: val('v') } } });
    const { obj } = await node.data.get(at('mixed'));
    expect(Object.keys(obj?.entries ?? {})).toEqual(['key']);
  });

  it('are replaced by Set and added to by Merge, which answers with the whole', async () => {
    await node.data.set({ ...at('m'), object: { entries: { a: val('1'), b: val('1') } } });
    const merged = await node.data.merge({ ...at('m'), object: { entries: { b: val('2'), c: val('2') } } });
    expect(Object.keys(merged.obj?.entries ?? {}).sort()).toEqual(['a', 'b', 'c']);
    expect(merged.obj?.metadata?.version).toBe(2);
    await node.data.set({ ...at('m'), object: { entries: { d: val('3') } } });
    expect(Object.keys((await node.data.get(at('m'))).obj?.entries ?? {})).toEqual(['d']);
  });

  it('are gone after Delete, which may be repeated', async () => {
    await node.data.set({ ...at('gone'), object: {} });
    await node.data.delete(at('gone'));
    await node.data.delete(at('gone'));
    await expect(node.data.get(at('gone'))).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('keep their triggers', async () => {
    const event = { dataTrigger: { k: { onUpdate: [{ clsId: 'shop.Thing', fnId: 'f' }] } } };
    await node.data.set({ ...at('e'), object: { event } });
    const { obj } = await node.data.get(at('e'));
    expect(obj?.event?.dataTrigger['k']?.onUpdate[0]?.fnId).toBe('f');
  });
});

describe.each(['raft', 'basic', 'mst'])('Merge of an object of type %s', (shardType) => {
  const target = { clsId: `merged-${shardType}`, objectId: 'o' };

  it('answers with what it made itself of the object, whatever others do to it at once', async () => {
    const merges = Array.from({ length: 50 }, (_, i) =>
      node.data.merge({
        ...target,
        object: { entries: { [`k${String(i)}`]: val(String(i)), shared: val(String(i)) } },
      }),
    );
    const deletes = Array.from({ length: 10 }, () => node.data.delete(target));
    const answers = await Promise.all(merges);
    await Promise.all(deletes);
    for (const [i, { obj }] of answers.entries()) {
      expect(obj?.entries[`k${String(i)}`]?.data.toString()).toBe(String(i));
      expect(obj?.entries['shared']?.data.toString()).toBe(String(i));
    }
    // Each was a batch of its own: no two saw the same object.
    const versions = answers.map(({ obj }) => obj?.metadata?.version ?? 0);
    expect(versions.every((version) => version > 0)).toBe(true);
    const states = answers.map(({ obj }, i) => `${String(versions[i])} ${Object.keys(obj?.entries ?? {}).join(' ')}`);
    expect(new Set(states).size).toBe(50);
  });

  it('answers with the object, also when it finds everything as it should be', async () => {
    const object = { entries: { a: val('1') } };
    await node.data.set({ ...target, objectId: 'same', object: { entries: { ...object.entries, b: val('2') } } });
    const merge = node.data.merge({ ...target, objectId: 'same', object });
    const gone = node.data.delete({ ...target, objectId: 'same' });
    const { obj } = await merge;
    await gone;
    expect([Object.keys(obj?.entries ?? {}), obj?.metadata?.version]).toEqual([['a', 'b'], 1]);
  });

  it('answers with the entries in the order of keys, as Get does, of objects of any size', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `k${String(i).padStart(2, '0')}`);
    const values = Object.fromEntries(names.map((name) => [name, val(name)]));
    await node.data.set({ ...target, objectId: 'large', object: { entries: values } });
    const { obj } = await node.data.merge({ ...target, objectId: 'large', object: { entries: { k: val('new') } } });
    expect(obj).toEqual((await node.data.get({ ...target, objectId: 'large' })).obj);
    expect(Object.keys(obj?.entries ?? {})).toEqual(['k', ...names]);
  });

  it('answers without an object when there is none and it has nothing to make one of', async () => {
    expect(await node.data.merge({ ...target, objectId: 'none', object: {} })).toEqual({ obj: undefined });
  });

  it('leaves out of its answer what has expired', async () => {
    const entries = { old: { ...val('1'), expiresAtMs: 1 }, late: { ...val('1'), ttlMs: 3_600_000 }, k: val('1') };
    const { obj } = await node.data.merge({ ...target, objectId: 'expiring', object: { entries } });
    expect(Object.keys(obj?.entries ?? {})).toEqual(['k', 'late']);
  });
});

describe('entries', () => {
  it('are read, written and removed one by one', async () => {
    await node.data.setValue({ ...at('v'), key: 'k', value: val('1') });
    expect(await node.data.getValue({ ...at('v'), key: 'k' })).toMatchObject({ objectVersion: 1, key: 'k' });
    await node.data.deleteValue({ ...at('v'), key: 'k' });
    const missing = await node.data.getValue({ ...at('v'), key: 'k' });
    expect(missing.value).toBeUndefined();
    expect(missing.objectVersion).toBe(2);
  });

  it('of an object that does not exist answer OK, without value and version', async () => {
    const missing = await node.data.getValue({ ...at('nowhere'), key: 'k' });
    expect(missing.value).toBeUndefined();
    expect(missing.objectVersion).toBeUndefined();
  });

  it('change together, with compare-and-set', async () => {
    await node.data.batchSetValues({ ...at('b'), values: { a: val('1'), b: val('1') }, expectedObjectVersion: 0 });
    await node.data.batchSetValues({
      ...at('b'),
      values: { a: val('2') },
      deleteKeys: ['B'],
      expectedObjectVersion: 1,
    });
    const late = node.data.batchSetValues({ ...at('b'), values: { a: val('3') }, expectedObjectVersion: 1 });
    await expect(late).rejects.toMatchObject({ code: 'VersionConflict', details: { currentVersion: 2 } });
    const { obj } = await node.data.get(at('b'));
    expect(Object.entries(obj?.entries ?? {}).map(([key, { data: bytes }]) => [key, bytes.toString()])).toEqual([
      ['a', '2'],
    ]);
  });

  it('are listed in pages by the cursor of the last envelope', async () => {
    const values = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`k${String(i)}`, val(String(i))]));
    await node.data.batchSetValues({ ...at('l'), values });
    const first = await collect(node.data.listValues({ ...at('l'), limit: 3 }));
    expect(first.map(({ key }) => key)).toEqual(['k0', 'k1', 'k2']);
    expect(first.map(({ nextCursor }) => nextCursor === undefined)).toEqual([true, true, false]);
    const cursor = first[2]?.nextCursor ?? Buffer.alloc(0);
    const rest = await collect(node.data.listValues({ ...at('l'), limit: 3, cursor }));
    expect(rest.map(({ key, version, nextCursor }) => [key, version, nextCursor])).toEqual([
      ['k3', 1, undefined],
      ['k4', 1, undefined],
    ]);
  });
});

describe('partitions', () => {
  it('are computed from the id when the caller asks for it', async () => {
    for (let i = 0; i < 20; i++) await node.data.set({ ...at(`auto-${String(i)}`), object: {} }, auto);
    const perPartition = await Promise.all(
      [0, 1, 2, 3].map(async (partitionId) =>
        collect(node.data.listObjects({ clsId: 'things', partitionId, objectIdPrefix: 'auto-' })),
      ),
    );
    expect(perPartition.every((found) => found.length > 0)).toBe(true);
    expect(perPartition.flat()).toHaveLength(20);
    expect((await node.data.get(at('auto-7', 99), auto)).obj?.metadata?.objectId).toBe('auto-7');
  });

  it('beyond the last one are refused with the range', async () => {
    await expect(node.data.get(at('a', 4))).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { partitionCount: 4 },
    });
    await expect(node.data.set({ ...at('a', -1), object: {} })).rejects.toMatchObject({ code: 'InvalidArgument' });
  });
});

describe('refusals', () => {
  it.each<[string, () => Promise<unknown>, string]>([
    ['an unknown class', () => node.data.get({ clsId: 'no.Such', objectId: 'a' }), 'NotFound'],
    ['no object id', () => node.data.get({ clsId: 'things' }), 'InvalidArgument'],
    ['an id with a space', () => node.data.get(at('a b')), 'InvalidArgument'],
    ['an id of 161 bytes', () => node.data.get(at('x'.repeat(161))), 'InvalidArgument'],
    ['no key', () => node.data.getValue(at('a')), 'InvalidArgument'],
    ['no value', () => node.data.setValue({ ...at('a'), key: 'k' }), 'InvalidArgument'],
    ['no object', () => node.data.set(at('a')), 'InvalidArgument'],
    [
      'keys that differ by case only',
      () => node.data.set({ ...at('a'), object: { entries: { k: val('1'), K: val('2') } } }),
      'InvalidArgument',
    ],
    [
      'an unknown type of value',
      () => node.data.setValue({ ...at('a'), key: 'k', value: { data: Buffer.from('1'), type: 9 as never } }),
      'InvalidArgument',
    ],
    [
      'a value over the limit of the collection',
      () => node.data.setValue({ clsId: 'small', objectId: 'a', key: 'k', value: val('12345') }),
      'ResourceExhausted',
    ],
    [
      'a cursor of nowhere',
      () => collect(node.data.listObjects({ clsId: 'things', cursor: Buffer.from('x') })),
      'InvalidArgument',
    ],
  ])('%s', async (_, call, code) => {
    await expect(call()).rejects.toMatchObject({ code });
  });

  it('an object with more triggers than one change may set off', async () => {
    const targets = Array.from({ length: 1025 }, () => data.TriggerTarget.fromPartial({ clsId: 'c', fnId: 'f' }));
    const event = data.ObjectEvent.fromPartial({ dataTrigger: { a: { onCreate: targets } } });
    await expect(node.data.set({ ...at('much'), object: { entries: { a: val('1') }, event } })).rejects.toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining('1025 targets') as string,
    });
  });

  it('a key that a map of the wire would lose in silence', async () => {
    // entries { key: "__proto__", value: {} }, by hand: no JavaScript object can be made to say it.
    const key = Buffer.from('__proto__');
    const entry = Buffer.concat([Buffer.from([0x0a, key.length]), key, Buffer.from([0x12, 0])]);
    const object = Buffer.concat([Buffer.from([0x22, entry.length]), entry]);
    const request = data.SetObjectRequest.decode(
      Buffer.concat([
        data.SetObjectRequest.encode(data.SetObjectRequest.fromPartial(at('a'))).finish(),
        Buffer.from([0x22, object.length]),
        object,
      ]),
    );
    const { objectAddressOf, setMutation } = await import('./codec.ts');
    expect(() => setMutation('a', objectAddressOf(request).object, 0)).toThrow(/reserved/);
  });
});

it('Capabilities and Stats tell what there is', async () => {
  expect(await node.data.capabilities({})).toEqual({
    stringIds: true,
    stringEntryKeys: true,
    granularEntryStorage: true,
    eventPipelineV2: true,
  });
  await node.data.set({ clsId: 'volatile', objectId: 'a', object: {} });
  const { shards } = await node.data.stats({});
  expect(shards.filter(({ collection }) => collection === 'things')).toHaveLength(4);
  expect(shards.find(({ collection }) => collection === 'volatile')).toMatchObject({ partitionId: 0, count: 1 });
  expect(shards.some(({ collection }) => collection === 'agreed')).toBe(true);
});
