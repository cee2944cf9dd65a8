import { oaasError } from '@oaas/commons/errors';
import type { RangeQuery, Storage, StorageReader, StoredEntry } from './port.ts';
import { between, find, insert, remove, type Treap } from './treap.ts';

/**
 * Storage that forgets everything at exit, for collections whose durability is `ephemeral`. Bounded by `maxBytes` of
 * keys and values (default 512 MiB): a batch that would go over it is refused with `StorageFull` and changes nothing.
 */
export function createMemoryStorage(options: { readonly maxBytes?: number } = {}): Storage {
  const maxBytes = options.maxBytes ?? 512 * 1024 * 1024;
  let tree: Treap;
  let entries = 0;
  let bytes = 0;
  let isClosed = false;

  return {
    isDurable: false,
    get: (key) => readerOf(tree).get(key),
    range: (query) => readerOf(tree).range(query),
    snapshot: () => ({ ...readerOf(tree), close: () => undefined }),
    usage: () => ({ entries, bytes }),
    close: () => {
      isClosed = true;
      return Promise.resolve();
    },
    // eslint-disable-next-line @typescript-eslint/require-await -- the port is asynchronous; a throw must reject
    write: async (operations) => {
      if (isClosed) throw oaasError('Unavailable', 'the storage is closed');
      const next = { tree, entries, bytes };
      for (const operation of operations) {
        const key = textOf(operation.key);
        const old = find(next.tree, key);
        if (old !== undefined) {
          next.entries -= 1;
          next.bytes -= key.length + old.length;
        }
        if (operation.type === 'put') {
          next.tree = insert(next.tree, key, Uint8Array.from(operation.value));
          next.entries += 1;
          next.bytes += key.length + operation.value.length;
        } else if (old !== undefined) next.tree = remove(next.tree, key);
      }
      if (next.bytes > maxBytes && next.bytes > bytes) {
        throw oaasError('StorageFull', 'the memory for ephemeral collections is used up', {
          remedy: 'Delete objects, or make the collection persistent.',
          details: { maxBytes },
        });
      }
      ({ tree, entries, bytes } = next);
    },
  };
}

function readerOf(tree: Treap): StorageReader {
  return {
    get: (key) => copyOf(find(tree, textOf(key))),
    range: (query) => entriesOf(tree, query),
  };
}

function copyOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : Uint8Array.from(bytes);
}

function* entriesOf(tree: Treap, query: RangeQuery): Generator<StoredEntry> {
  let left = query.limit ?? Infinity;
  if (left <= 0) return;
  for (const node of between(tree, textOf(query.start), textOf(query.end))) {
    yield { key: Buffer.from(node.key, 'latin1'), value: Uint8Array.from(node.value) };
    left -= 1;
    if (left <= 0) return;
  }
}

/** Latin-1 keeps one character per byte, so that strings compare as the bytes do. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
