import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isOaasError } from '@oaas/commons/errors';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { type Change, createMemoryStore, openEmbeddedStore, type Store, storeLimits } from '@oaas/reconciler/store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let dir: TempDir;
let store: Store;

const adapters: readonly (readonly [string, () => Store])[] = [
  ['memory', () => createMemoryStore()],
  ['embedded', () => openEmbeddedStore({ file: join(dir.path, 'store', 'pm.db') })],
];

describe.each(adapters)('every store, here %s', (_name, openStore) => {
  beforeEach(async () => {
    dir = await tempDir();
    store = openStore();
  });
  afterEach(async () => {
    await store.close();
    await dir.remove();
  });

  it('gives back what was put, and nothing after it was deleted', async () => {
    const value = { text: 'ü', list: [1, null, true], nested: { a: {} } };
    const revision = await store.transaction({ put: { 'a/1': value } });
    expect(await store.get('a/1')).toEqual({ key: 'a/1', value, revision });
    await store.transaction({ delete: ['a/1', 'never'] });
    expect(await store.get('a/1')).toBeUndefined();
  });

  it('counts one revision for each transaction, whatever its size', async () => {
    const first = await store.transaction({ put: { a: 1, b: 2 } });
    const second = await store.transaction({ put: { b: 3 }, delete: ['a'] });
    expect(second).toBe(first + 1);
    expect((await store.get('b'))?.revision).toBe(second);
  });

  it('keeps its values when the caller changes an object after putting or getting it', async () => {
    const value = { list: [1] };
    await store.transaction({ put: { a: value } });
    value.list.push(2);
    const got = (await store.get('a'))?.value as { list: number[] };
    got.list.push(3);
    expect((await store.get('a'))?.value).toEqual({ list: [1] });
  });

  it('changes nothing at all when one comparison does not hold', async () => {
    const revision = await store.transaction({ put: { a: 1 } });
    const refused = store.transaction({ compare: { a: revision, b: 7 }, put: { a: 2, c: 3 }, delete: ['a'] });
    await expect(refused).rejects.toSatisfy((error) => isOaasError(error, 'VersionConflict'));
    expect((await store.get('a'))?.value).toBe(1);
    expect(await store.get('c')).toBeUndefined();
    await store.transaction({ compare: { a: revision, b: 0 }, put: { b: 1 } });
    expect((await store.get('b'))?.value).toBe(1);
  });

  it('lets exactly one of many writers win that compare with the same revision', async () => {
    const writers = Array.from({ length: 20 }, (_, index) =>
      store.transaction({ compare: { lock: 0 }, put: { lock: index } }),
    );
    const results = await Promise.allSettled(writers);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  });

  it('lists a prefix in order, page by page, and is not misled by neighbours', async () => {
    const keys = Array.from({ length: 25 }, (_, index) => `p/${String(index).padStart(2, '0')}`);
    await store.transaction({
      put: Object.fromEntries([...keys, 'o/x', 'p', 'p0', 'q/x'].reverse().map((key) => [key, key])),
    });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.list({ prefix: 'p/', limit: 10, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.entries.map((entry) => entry.key));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(keys);
  });

  it('continues after a cursor whose own entry is gone', async () => {
    await store.transaction({ put: { a1: 1, a2: 2, a3: 3 } });
    const { nextCursor } = await store.list({ prefix: 'a', limit: 2 });
    await store.transaction({ delete: ['a2'] });
    const rest = await store.list({ prefix: 'a', ...(nextCursor === undefined ? {} : { cursor: nextCursor }) });
    expect(rest.entries.map((entry) => entry.key)).toEqual(['a3']);
  });

  it('refuses cursors of other listings, bad keys, bad pages, and what is too big', async () => {
    await store.transaction({ put: { a1: 1, a2: 2 } });
    const { nextCursor = '' } = await store.list({ prefix: 'a', limit: 1 });
    const invalid = [
      store.list({ prefix: 'b', cursor: nextCursor }),
      store.list({ prefix: 'a', limit: 0 }),
      store.transaction({ put: { '': 1 } }),
      store.transaction({ put: { 'a\0b': 1 } }),
    ];
    for (const call of invalid) await expect(call).rejects.toSatisfy((error) => isOaasError(error, 'InvalidArgument'));
    const big = [
      store.transaction({ put: { a: 'x'.repeat(storeLimits.valueBytes) } }),
      store.transaction({ put: { ['k'.repeat(2000)]: 1 } }),
    ];
    for (const call of big) await expect(call).rejects.toSatisfy((error) => isOaasError(error, 'ResourceExhausted'));
  });

  it('tells watchers of their prefix what changed, in order, until they stop', async () => {
    const changes: Change[] = [];
    const stop = store.watch('a/', (change) => changes.push(change));
    await store.transaction({ put: { 'a/1': 1, 'b/1': 1 } });
    await store.transaction({ delete: ['a/1'] });
    stop();
    await store.transaction({ put: { 'a/2': 1 } });
    expect(changes.map(({ key, value }) => [key, value])).toEqual([
      ['a/1', 1],
      ['a/1', undefined],
    ]);
  });

  it('answers nothing after it was closed', async () => {
    await store.close();
    await expect(store.get('a')).rejects.toSatisfy((error) => isOaasError(error, 'Unavailable'));
  });
});

describe('the embedded store', () => {
  beforeEach(async () => {
    dir = await tempDir();
  });
  afterEach(() => dir.remove());

  it('continues where it was when it is opened again', async () => {
    const file = join(dir.path, 'pm.db');
    const first = openEmbeddedStore({ file });
    const revision = await first.transaction({ put: { a: 1 } });
    await first.close();
    const second = openEmbeddedStore({ file });
    expect(await second.get('a')).toEqual({ key: 'a', value: 1, revision });
    expect(await second.transaction({ put: { b: 1 } })).toBe(revision + 1);
    await second.close();
  });

  it('keeps what it acknowledged when its process is killed, and lets the next one in', async () => {
    const file = join(dir.path, 'pm.db');
    const module = JSON.stringify(join(import.meta.dirname, '../../../reconciler/src/store/index.ts'));
    const script = `import { openEmbeddedStore } from ${module};
      const store = openEmbeddedStore({ file: ${JSON.stringify(file)} });
      for (let n = 0; n < 20; n += 1) await store.transaction({ put: { ['k' + n]: n } });
      process.kill(process.pid, 'SIGKILL');`;
    const tsx = join(import.meta.dirname, '../../../node_modules/tsx/dist/cli.mjs');
    await expect(promisify(execFile)(process.execPath, [tsx, '--input-type=module', '-e', script])).rejects.toThrow();
    const survivor = openEmbeddedStore({ file });
    expect((await survivor.list({ prefix: 'k' })).entries).toHaveLength(20);
    await survivor.close();
  });

  it('is refused to a second opener while the first has it', async () => {
    const file = join(dir.path, 'pm.db');
    const first = openEmbeddedStore({ file });
    expect(() => openEmbeddedStore({ file })).toThrow(expect.objectContaining({ code: 'StorageLocked' }) as Error);
    await first.close();
  });
});
