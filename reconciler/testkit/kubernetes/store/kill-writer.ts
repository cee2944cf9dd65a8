/** Writes objects until it is killed, and tells its parent of each that was acknowledged. Run by store.test.ts. */
import { lmdbStorage } from './lmdb.ts';
import { Store } from './store.ts';

const store = new Store({ storage: lmdbStorage(process.argv[2] ?? ''), indexer: () => ({}) });
for (let index = 0; ; index += 1) {
  const key = `/configmaps/default/k${String(index)}`;
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `k${String(index)}` } };
  await store.update(key, () => ({ action: 'put', object, result: undefined }));
  process.send?.(key);
}
