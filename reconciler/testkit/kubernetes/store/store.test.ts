import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { tempDir } from '@oaas/commons/testkit';
import { expect, test } from 'vitest';
import type { KubeObject } from '../types.ts';
import { EventLog, type StoreEvent } from './events.ts';
import { lmdbStorage } from './lmdb.ts';
import { memoryStorage, type Storage } from './storage.ts';
import { Store, type Entry } from './store.ts';

const NO_FACTS = { labels: {}, fields: {}, uid: '', owners: [], finalizers: [], isDeleting: false };
const KEY = '/configmaps/default/a';

function object(value: string): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { value } };
}

function store(storage: Storage): Store {
  return new Store({ storage, indexer: () => ({}) });
}

function put(target: Store, key: string, value: string): Promise<unknown> {
  return target.update(key, () => ({ action: 'put', object: object(value), result: undefined }));
}

test('writers of one key go one after another, so that none overlooks another', async () => {
  const target = store(memoryStorage());
  await Promise.all(
    Array.from({ length: 50 }, () =>
      target.update(KEY, async (current) => {
        const count =
          current === undefined
            ? 0
            : Number((JSON.parse(current.bytes.toString('utf8')) as { data: { value: string } }).data.value);
        await Promise.resolve();
        return { action: 'put', object: object(String(count + 1)), result: undefined };
      }),
    ),
  );
  expect(target.get(KEY)?.bytes.toString('utf8')).toContain('"value":"50"');
});

test('a write is seen only when it is durable', async () => {
  let finish: () => void = () => undefined;
  const storage: Storage = { ...memoryStorage(), write: () => new Promise((resolve) => (finish = resolve)) };
  const target = store(storage);
  const writing = put(target, KEY, '1');
  await new Promise((resolve) => setImmediate(resolve));
  expect(target.get(KEY)).toBeUndefined();
  finish();
  await writing;
  expect(target.get(KEY)).toBeDefined();
});

test('a storage that fails refuses this write and all later ones, and its owner learns why', async () => {
  const reason = new Error('the disk is full');
  const storage: Storage = { ...memoryStorage(), write: () => Promise.reject(reason) };
  const failures: unknown[] = [];
  const target = new Store({ storage, indexer: () => ({}), onFailure: (error) => failures.push(error) });
  await expect(put(target, KEY, '1')).rejects.toThrow('the storage failed');
  await expect(put(target, '/configmaps/default/b', '1')).rejects.toThrow('the storage failed');
  expect(target.get(KEY)).toBeUndefined();
  expect(failures).toEqual([reason]);
});

test('revisions go on where they stopped, and removed objects stay removed', async () => {
  const dir = await tempDir();
  const path = join(dir.path, 'objects.lmdb');
  const first = store(lmdbStorage(path));
  await put(first, KEY, '1');
  await put(first, '/configmaps/default/b', '2');
  await first.update(KEY, () => ({ action: 'remove', result: undefined }));
  const { revision } = first;
  await first.close();
  const second = store(lmdbStorage(path));
  expect(second.revision).toBe(revision);
  expect(second.get(KEY)).toBeUndefined();
  expect(second.list('/configmaps/').map((entry) => entry.key)).toEqual(['/configmaps/default/b']);
  expect(second.events.since(revision - 1)).toBeUndefined();
  expect(second.events.since(revision)).toEqual([]);
  await second.close();
  await dir.remove();
});

test('what was acknowledged survives kill -9', async () => {
  const dir = await tempDir();
  const path = join(dir.path, 'objects.lmdb');
  const child = fork(new URL('kill-writer.ts', import.meta.url), [path], {
    execArgv: ['--import', 'tsx'],
    stdio: 'ignore',
  });
  const acknowledged: string[] = [];
  child.on('message', (key: string) => {
    acknowledged.push(key);
    if (acknowledged.length === 200) child.kill('SIGKILL');
  });
  await once(child, 'exit');
  const after = store(lmdbStorage(path));
  expect(acknowledged.length).toBeGreaterThanOrEqual(200);
  expect(acknowledged.filter((key) => after.get(key) === undefined)).toEqual([]);
  await after.close();
  await dir.remove();
});

test('the log forgets the oldest changes first, and says which ones it no longer knows', () => {
  const log = new EventLog({ maxEvents: 3, maxBytes: 1_000_000 });
  const entry = (revision: number): Entry => ({ key: KEY, revision, bytes: Buffer.from('{}'), ...NO_FACTS });
  const event = (revision: number): StoreEvent => ({ type: 'ADDED', entry: entry(revision), previous: undefined });
  log.begin(1);
  log.append([event(2), event(3), event(4), event(5)]);
  expect(log.since(1)).toBeUndefined();
  expect(log.since(2)?.map((item) => item.entry.revision)).toEqual([3, 4, 5]);
  expect(log.since(5)).toEqual([]);
});

test('the log forgets by size as well', () => {
  const log = new EventLog({ maxEvents: 100, maxBytes: 10 });
  const bytes = Buffer.alloc(6);
  for (const revision of [2, 3])
    log.append([{ type: 'ADDED', entry: { key: KEY, revision, bytes, ...NO_FACTS }, previous: undefined }]);
  expect(log.compacted).toBe(2);
});
