import { oaasError } from '@oaas/commons/errors';
import {
  decodeHeader,
  decodeLeaf,
  decodeRegister,
  encodeRegister,
  type ObjectHeader,
  type Register,
} from '../../merge/index.ts';
import { type Key, MerkleSearchTree, type PageHash, type Pages } from '../../merkle/index.ts';
import type { Engine } from '../../storage/index.ts';
import type { ShardLocation } from '../records.ts';
import { storedValue } from './merging-scan.ts';
import { digestOf, headerKey, keptKey, ofTreeKey, treeKeyOf } from './records.ts';
import { leafOf } from './tree-index.ts';

/** Headers and entries as a version of the tree has them: what is there now where that is the same, else what was kept. */
export class VersionStates {
  readonly #engine: Engine;
  readonly #location: ShardLocation;
  readonly #pages: Pages;

  constructor(engine: Engine, location: ShardLocation, pages: Pages) {
    this.#engine = engine;
    this.#location = location;
    this.#pages = pages;
  }

  header(root: PageHash, id: string): ObjectHeader | undefined {
    return this.headerOf(id, new MerkleSearchTree(this.#pages, root).get(id));
  }

  registers(root: PageHash, id: string): Map<string, Register> {
    const registers = new Map<string, Register>();
    const tree = new MerkleSearchTree(this.#pages, root);
    for (const { key: treeKey, leaf } of tree.range({ start: treeKeyOf(id, ''), end: `${id}\u0001` })) {
      const register = this.registerOf(treeKey, leaf);
      const { key } = ofTreeKey(treeKey);
      if (register !== undefined && key !== undefined) registers.set(key, register);
    }
    return registers;
  }

  /** `DataLoss` when it is not kept. */
  headerOf(id: string, leaf: Uint8Array | undefined): ObjectHeader | undefined {
    if (leaf === undefined) return undefined;
    return decodeHeader(this.#presentHeader(id, leaf) ?? this.#kept(id, leaf));
  }

  /** `DataLoss` when it is not kept. */
  registerOf(treeKey: Key, leaf: Uint8Array | undefined): Register | undefined {
    if (leaf === undefined) return undefined;
    const { stamp, kind } = decodeLeaf(leaf);
    if (kind === 'tombstone') return { stamp, type: 'bytes', value: undefined, expiresAt: undefined };
    return this.#presentRegister(treeKey, leaf) ?? decodeRegister(this.#kept(treeKey, leaf));
  }

  /** Encoded, for another replica; undefined when it is not kept. */
  encodedOf(treeKey: Key, leaf: Uint8Array): Uint8Array | undefined {
    const kept = this.keptOf(leaf);
    if (kept !== undefined) return kept;
    const { id, key } = ofTreeKey(treeKey);
    if (key === undefined) return this.#presentHeader(id, leaf);
    const register = this.#presentRegister(treeKey, leaf);
    return register === undefined ? undefined : encodeRegister(register);
  }

  /** What was kept of it, whatever is there now. */
  keptOf(leaf: Uint8Array): Uint8Array | undefined {
    return this.#engine.get(keptKey(this.#location, decodeLeaf(leaf).digest));
  }

  #presentHeader(id: string, leaf: Uint8Array): Uint8Array | undefined {
    const present = this.#engine.get(headerKey(this.#location, id));
    const isSame = present !== undefined && Buffer.compare(digestOf(present), decodeLeaf(leaf).digest) === 0;
    return isSame ? present : undefined;
  }

  #presentRegister(treeKey: Key, leaf: Uint8Array): Register | undefined {
    const present = leafOf(this.#engine, this.#location, treeKey);
    if (present === undefined || Buffer.compare(present, leaf) !== 0) return undefined;
    const { id, key = '' } = ofTreeKey(treeKey);
    const value = storedValue(this.#engine, this.#location, id, key);
    if (value === undefined) return undefined;
    return { stamp: decodeLeaf(leaf).stamp, type: value.type, value: value.data, expiresAt: value.expiresAt };
  }

  #kept(treeKey: Key, leaf: Uint8Array): Uint8Array {
    const bytes = this.keptOf(leaf);
    if (bytes !== undefined) return bytes;
    throw oaasError('DataLoss', 'what a version had is not kept', {
      remedy: 'Ask another replica that has the same root.',
      details: { key: treeKey, group: this.#location.shard },
    });
  }
}
