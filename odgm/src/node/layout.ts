import { oaasError } from '@oaas/commons/errors';
import { prefixEnd, type Storage } from '../storage/index.ts';

/** How a collection lies in this node's storage. Stored with the data, so that configuration cannot contradict it. */
export interface StoredLayout {
  /** Number of the collection within this storage, from 1. Never used again for another one. */
  readonly slot: number;
  readonly partitionCount: number;
}

/** Keys beside those of all shards: six bytes 0xff, then `L` and the collection's name. Values: JSON with a format number. */
const prefix = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x4c]);
const format = 1;

/** The layouts of all collections that a storage has ever held. */
export class LayoutBook {
  readonly #storage: Storage;
  readonly #layouts = new Map<string, StoredLayout>();

  /** Throws `StorageCorrupt` for a layout of an unknown form. */
  constructor(storage: Storage) {
    this.#storage = storage;
    for (const { key, value } of storage.range({ start: prefix, end: prefixEnd(prefix) })) {
      this.#layouts.set(Buffer.from(key).toString('utf8', prefix.length), parse(value));
    }
  }

  get(collection: string): StoredLayout | undefined {
    return this.#layouts.get(collection);
  }

  names(): string[] {
    return [...this.#layouts.keys()];
  }

  /** Records the layout durably, keeping the slot of a collection that has one. */
  async set(collection: string, partitionCount: number): Promise<StoredLayout> {
    const known = this.#layouts.get(collection);
    if (known?.partitionCount === partitionCount) return known;
    const slots = [...this.#layouts.values()].map(({ slot }) => slot);
    const layout = { slot: known?.slot ?? Math.max(0, ...slots) + 1, partitionCount };
    // Reserved before the write, so that two collections that are opened at once get different slots.
    this.#layouts.set(collection, layout);
    const value = Buffer.from(JSON.stringify({ format, ...layout }));
    await this.#storage.write([{ type: 'put', key: Buffer.concat([prefix, Buffer.from(collection)]), value }]);
    return layout;
  }
}

function parse(value: Uint8Array): StoredLayout {
  try {
    const layout = JSON.parse(Buffer.from(value).toString('utf8')) as StoredLayout & { format: number };
    if (layout.format === format && layout.slot > 0 && layout.partitionCount > 0) return layout;
  } catch {
    // Reported below, as for any other unreadable record.
  }
  throw oaasError('StorageCorrupt', 'the layout of a collection is unreadable or of a newer version', {
    remedy: 'Run the version that wrote the data directory, or restore it from a backup.',
  });
}
