import { oaasError } from '@oaas/commons/errors';
import {
  admitRegister,
  admitsHeader,
  asOf,
  changeHeader,
  compareStamps,
  decodeHeader,
  decodeLeaf,
  deleteHeader,
  encodeHeader,
  encodeLeaf,
  encodeRegister,
  expiredOf,
  headerStamp,
  type HybridClock,
  isAlive,
  isHeaderReapable,
  isReapable,
  kindOfLeaf,
  laterStamp,
  leafKindOf,
  mapOf,
  mergeHeaders,
  mergeRegisters,
  type ObjectHeader,
  putRegister,
  reapedOf,
  reapMap,
  type Register,
  registerBytes,
  type Stamp,
  survivorOf,
  tombstoneOf,
  versionOf,
  writeRegister,
} from '../../merge/index.ts';
import type { Key } from '../../merkle/index.ts';
import { prefixEnd, type StorageReader, type WriteOperation } from '../../storage/index.ts';
import { eventsOf, goneOf, isSame, planChange } from '../apply.ts';
import type { ExpiringEntry, Firing, Mutation, MutationResult, ObjectMeta, ShardLimits, Value } from '../model.ts';
import type { OutboxChange, OutboxResult } from '../outbox-change.ts';
import type { EventPlace, NewEvent, OutboxTransaction } from '../outbox-transaction.ts';
import { bufferOf, headLength, type ShardLocation, type ShardTotals } from '../records.ts';
import { type EntryChange, ShardTransaction } from '../transaction.ts';
import type { LeafKeys } from './leaf-keys.ts';
import type { ObjectPatch } from './patch.ts';
import { digestOf, graveKey, headerKey, keptKey, leafKey, ofTreeKey, treeKeyOf } from './records.ts';

/** A leaf of the tree over all headers and entries, and what becomes of it. */
export interface LeafChange {
  readonly treeKey: Key;
  readonly after: Uint8Array | undefined;
}

interface PendingLeaf {
  /** As stored. */
  readonly before: Uint8Array | undefined;
  /** What it is the leaf of; of one that was not written, only when it was asked for. */
  register: Register | undefined;
  isWritten: boolean;
  /** The value that `before` is the leaf of, of one that was written. */
  old: Value | undefined;
}

interface PendingObject {
  readonly id: string;
  /** As stored. */
  readonly stored: Uint8Array | undefined;
  readonly before: ObjectHeader | undefined;
  header: ObjectHeader | undefined;
  readonly leaves: Map<string, PendingLeaf>;
  /** Keys of all leaves that are stored, where that is known. */
  keys: readonly string[] | undefined;
  /** Entries that clients changed here: what the other replicas have to be told. Undefined: none, and no delete. */
  local: Set<string> | undefined;
}

export interface EventualTransactionOptions {
  readonly storage: StorageReader;
  readonly location: ShardLocation;
  readonly totals: ShardTotals;
  readonly member: number;
  readonly clock: HybridClock;
  /** Wall-clock milliseconds. */
  readonly now: number;
  /**
   * The leaf that the last version of the tree has of a key: what it stands for is kept when it is replaced. Undefined
   * where no versions are kept.
   */
  readonly versionOf: ((treeKey: Key) => Uint8Array | undefined) | undefined;
  readonly leafKeys: LeafKeys;
  /** Changes that clients ask for set off triggers. Default: they do not. */
  readonly fires?: boolean | undefined;
}

/** Events of one stamp, which has as many places for them. */
const eventsPerStamp = 65_536;

/**
 * A group of client mutations and of states from other replicas, to be committed together; each sees the ones before it.
 * Beside the objects as clients see them ({@link ShardTransaction}) it keeps their headers, the leaves of all entries,
 * and the list of graves.
 *
 * What always holds: an object's header was written no earlier than any of its entries. So nothing of an object is left
 * once its header says that it is deleted.
 */
export class EventualTransaction {
  readonly #options: EventualTransactionOptions;
  readonly #visible: ShardTransaction;
  readonly #objects = new Map<string, PendingObject>();

  constructor(options: EventualTransactionOptions) {
    this.#options = options;
    this.#visible = new ShardTransaction(options.storage, options.location, options.totals);
  }

  get totals(): ShardTotals {
    return this.#visible.totals;
  }

  get earliestExpiry(): number {
    return this.#visible.earliestExpiry;
  }

  /**
   * Decides a client's mutation against what this replica has: so does compare-and-set. A write that finds everything as
   * it should be is none, also when another replica takes a different one at the same time.
   * Throws as {@link applyMutation}; nothing is changed then.
   */
  mutate(mutation: Mutation, limits: ShardLimits): MutationResult {
    if (mutation.type === 'expire') return this.#expire(mutation.entries);
    const { objectId: id, expectedVersion } = mutation;
    const object = this.#object(id);
    const current = versionOf(object.header);
    if (expectedVersion !== undefined && expectedVersion !== current) {
      throw oaasError('VersionConflict', `object ${id} is at version ${String(current)}`, {
        details: { objectId: id, expectedVersion, currentVersion: current },
      });
    }
    if (mutation.type === 'delete') return this.#delete(object, mutation);
    const result = this.#change(object, mutation, limits);
    if (mutation.returnsObject !== true) return result;
    return { ...result, object: this.#visible.objectAt(id, this.#options.now) };
  }

  /** See {@link OutboxTransaction.change}. */
  changeOutbox(change: OutboxChange): OutboxResult {
    return this.#visible.outbox.change(change, this.#placeAt(this.#options.clock.tick(this.#options.now)));
  }

  get openedOutbox(): OutboxTransaction | undefined {
    return this.#visible.openedOutbox;
  }

  /**
   * Merges what another replica has, as far as it is later than `cut`. `isFormer`: that one is no replica of the shard any
   * more, and up to `cut` there may be what not every replica has. What has expired counts as taken away. False when it is
   * from too far in the future, and nothing of it was taken.
   */
  merge(patch: ObjectPatch, cut: Stamp, isFormer = false): boolean {
    const { clock, now } = this.#options;
    let latest = laterStamp(headerStamp(patch.header), patch.header.deleted);
    for (const { stamp } of patch.entries.values()) latest = laterStamp(latest, stamp);
    if (!clock.observe(latest, now)) return false;
    const object = this.#object(patch.id);
    const held = object.header;
    if (!admitsHeader(patch.header, held, cut)) return true;
    const header = held === undefined ? patch.header : mergeHeaders(held, patch.header);
    const entries = new Map<string, Register | undefined>();
    for (const [key, sent] of patch.entries) {
      const here = asOf(this.#register(object, key), now);
      const incoming = asOf(sent, now);
      const admitted = admitRegister(incoming, here, cut);
      if (admitted === undefined) continue;
      const reaped = isFormer ? undefined : reapedOf(incoming, here, cut);
      const states = [here, admitted, reaped].filter((state) => state !== undefined);
      const left = survivorOf(header, states.reduce(mergeRegisters));
      if (here !== undefined || left !== undefined) entries.set(key, left);
    }
    if (held !== undefined && isCleared(held, header)) this.#dropCleared(object, header, entries);
    this.#write(object, header, entries);
    return true;
  }

  /** Takes away what every replica has the tombstone of. `at`: of the grave. */
  reap(treeKey: Key, at: number, cut: Stamp): void {
    const { id, key } = ofTreeKey(treeKey);
    const object = this.#object(id);
    if (object.header === undefined) return;
    if (key === undefined) {
      if (isHeaderReapable(object.header, cut)) object.header = undefined;
      return;
    }
    const register = this.#register(object, key);
    if (register?.stamp.ms !== at || compareStamps(register.stamp, cut) > 0) return;
    const left = isReapable(register, cut) ? undefined : reapMap(register, cut);
    if (left !== register) this.#write(object, object.header, new Map([[key, left]]));
  }

  header(id: string): ObjectHeader | undefined {
    return this.#object(id).header;
  }

  register(id: string, key: string): Register | undefined {
    return this.#register(this.#object(id), key);
  }

  /** What clients changed here, for the other replicas. */
  patches(): ObjectPatch[] {
    const patches: ObjectPatch[] = [];
    for (const object of this.#objects.values()) {
      const { id, header, local } = object;
      if (local === undefined || header === undefined) continue;
      const entries = new Map<string, Register>();
      for (const key of local) {
        const register = this.#register(object, key);
        if (register !== undefined) entries.set(key, register);
      }
      patches.push({ id, header, entries });
    }
    return patches;
  }

  /** What to write, and the leaves that change with it. To be called once, at the end. */
  finish(): { readonly operations: WriteOperation[]; readonly leaves: LeafChange[] } {
    const { location } = this.#options;
    const operations = this.#visible.operations();
    const leaves: LeafChange[] = [];
    for (const object of this.#objects.values()) {
      const { id, before, header, stored } = object;
      for (const [key, leaf] of object.leaves) if (leaf.isWritten) this.#finishLeaf(id, key, leaf, operations, leaves);
      if (before === header) continue;
      const encoded = header === undefined ? undefined : encodeHeader(header);
      if (isSameBytes(stored, encoded)) continue;
      leaves.push({ treeKey: id, after: headerLeaf(header, encoded) });
      operations.push(putOrDelete(headerKey(location, id), encoded));
      this.#moveGrave(operations, id, headerGrave(before), headerGrave(header));
      if (stored !== undefined && this.#isKept(id, headerLeaf(before, stored))) {
        operations.push({ type: 'put', key: keptKey(location, digestOf(stored)), value: stored });
      }
    }
    return { operations, leaves };
  }

  /** What {@link finish} gave is written. */
  landed(): void {
    const { leafKeys } = this.#options;
    for (const { id, header, keys, leaves } of this.#objects.values()) {
      if (keys === undefined) continue;
      if (header === undefined) {
        leafKeys.forget(id);
        continue;
      }
      let left: Set<string> | undefined;
      for (const [key, { before, register, isWritten }] of leaves) {
        if (!isWritten || (before === undefined) === (register === undefined)) continue;
        left ??= new Set(keys);
        if (register === undefined) left.delete(key);
        else left.add(key);
      }
      leafKeys.set(id, left === undefined ? keys : [...left]);
    }
  }

  #finishLeaf(id: string, key: string, leaf: PendingLeaf, operations: WriteOperation[], leaves: LeafChange[]): void {
    const { location } = this.#options;
    const { before, register, old } = leaf;
    const after = register === undefined ? undefined : leafOfRegister(register);
    if (isSameBytes(before, after)) return;
    const treeKey = treeKeyOf(id, key);
    leaves.push({ treeKey, after });
    operations.push(putOrDelete(leafKey(location, treeKey), after));
    this.#moveGrave(operations, treeKey, leafGrave(before), registerGrave(register));
    if (before === undefined || !this.#isKept(treeKey, before)) return;
    const { stamp, digest } = decodeLeaf(before);
    const replaced: Register =
      old === undefined ? tombstoneOf(stamp) : { stamp, type: old.type, value: old.data, expiresAt: old.expiresAt };
    operations.push({ type: 'put', key: keptKey(location, digest), value: encodeRegister(replaced) });
  }

  /** Whether a version that is kept may have this leaf. */
  #isKept(treeKey: Key, leaf: Uint8Array | undefined): boolean {
    const kept = this.#options.versionOf?.(treeKey);
    return kept !== undefined && leaf !== undefined && Buffer.compare(kept, leaf) === 0;
  }

  // ---- decisions

  #change(object: PendingObject, mutation: Extract<Mutation, { type: 'change' }>, limits: ShardLimits): MutationResult {
    const { id } = object;
    const { clock, member, now } = this.#options;
    const meta = this.#visible.meta(id);
    const { replace, event } = mutation;
    const stamp = clock.tick(now);
    const header = changeHeader(object.header, { stamp, member, replace, event });
    const put = new Map<string, Value>();
    const written = new Map<string, Register>();
    for (const [key, value] of mutation.put) {
      const write = { type: value.type, value: value.data, expiresAt: value.expiresAt };
      const held = value.type === 'crdt-map' ? asOf(this.#register(object, key), now) : undefined;
      const register = survivorOf(header, writeRegister(held, write, stamp));
      if (register?.value === undefined) continue;
      written.set(key, register);
      put.set(key, { data: register.value, type: register.type, expiresAt: register.expiresAt });
    }
    const planned = planChange(this.#visible, { ...mutation, put }, meta, limits);
    if (planned === undefined) return { version: meta?.version ?? 0, changed: false };
    const entries = new Map<string, Register | undefined>();
    for (const { key, value } of planned.changes) {
      if (value === undefined) entries.set(key, replace ? undefined : tombstoneOf(stamp));
      else entries.set(key, written.get(key));
    }
    if (replace) {
      // What stays has to be newer than what the header clears.
      for (const [key, register] of written) entries.set(key, register);
      this.#dropCleared(object, header, entries);
    }
    const triggers = planned.event ?? meta?.event;
    if (triggers !== undefined && this.#mayFire(mutation)) {
      this.#fire(eventsOf(mutation, triggers, planned.changes, [meta?.version ?? 0, versionOf(header)]), stamp);
    }
    this.#write(object, header, entries, replace ? put : undefined);
    object.local ??= new Set();
    for (const [key, register] of entries) if (register !== undefined) object.local.add(key);
    return { version: versionOf(header), changed: true };
  }

  #mayFire({ at }: Firing): boolean {
    return this.#options.fires === true && at !== undefined;
  }

  #fire(events: readonly NewEvent[], stamp: Stamp): void {
    const { clock, now } = this.#options;
    for (let from = 0; from < events.length; from += eventsPerStamp) {
      const place = this.#placeAt(from === 0 ? stamp : clock.tick(now));
      for (const event of events.slice(from, from + eventsPerStamp)) this.#visible.outbox.append(place, event);
    }
  }

  #placeAt({ ms, counter }: Stamp): EventPlace {
    return { major: ms, first: counter * eventsPerStamp, by: this.#options.member };
  }

  #delete(object: PendingObject, mutation: Extract<Mutation, { type: 'delete' }>): MutationResult {
    const { clock, member, now } = this.#options;
    const { header } = object;
    if (header === undefined || !isAlive(header)) return { version: 0, changed: false };
    const stamp = clock.tick(now);
    const deleted = deleteHeader(header, stamp, member);
    const meta = this.#visible.meta(object.id);
    if (meta?.event !== undefined && this.#mayFire(mutation)) {
      this.#fire(eventsOf(mutation, meta.event, goneOf(this.#visible, object.id), [meta.version, 0]), stamp);
    }
    const entries = new Map<string, Register | undefined>();
    this.#dropCleared(object, deleted, entries);
    this.#write(object, deleted, entries);
    object.local ??= new Set();
    return { version: 0, changed: true };
  }

  /** Each replica does so by itself when its clock says so, and all end alike: it is no batch, the version stays. */
  #expire(expired: readonly ExpiringEntry[]): MutationResult {
    let changed = false;
    for (const { objectId, key, expiresAt } of expired) {
      const object = this.#object(objectId);
      const register = this.#register(object, key);
      if (object.header === undefined || register?.value === undefined || register.expiresAt !== expiresAt) continue;
      this.#write(object, object.header, new Map([[key, expiredOf(register)]]));
      changed = true;
    }
    return { version: 0, changed };
  }

  // ---- state

  /** Writes the header, and entries as they are under it from now on (undefined: nothing is left of them). */
  #write(
    object: PendingObject,
    header: ObjectHeader,
    entries: ReadonlyMap<string, Register | undefined>,
    all?: ReadonlyMap<string, Value>,
  ): void {
    const { id } = object;
    const meta = this.#visible.meta(id);
    const changes: EntryChange[] = [];
    let entryCount = meta?.entryCount ?? 0;
    let bytes = meta?.bytes ?? id.length;
    for (const [key, register] of entries) {
      const old = meta === undefined ? undefined : this.#visible.value(id, key);
      this.#setLeaf(object, key, register, old);
      const value = valueOf(register);
      if (old === undefined ? value === undefined : value !== undefined && isSame(old, value)) continue;
      entryCount += (value === undefined ? 0 : 1) - (old === undefined ? 0 : 1);
      bytes += sizeOf(key, value) - sizeOf(key, old);
      changes.push({ key, value, old });
    }
    object.header = header;
    if (!isAlive(header)) {
      if (meta !== undefined) this.#visible.delete(id);
      return;
    }
    const next: ObjectMeta = { version: versionOf(header), entryCount, bytes, event: header.event?.value };
    const isMoved = meta?.version !== next.version || !isSameBytes(meta.event, next.event);
    if (isMoved || changes.length > 0) this.#visible.change(id, next, changes, all);
  }

  /** Adds to `entries` what a header that has moved on leaves of the object's other entries. */
  #dropCleared(object: PendingObject, header: ObjectHeader, entries: Map<string, Register | undefined>): void {
    for (const key of this.#keysOf(object)) {
      if (entries.has(key)) continue;
      const register = this.#outline(object, key);
      if (register === undefined) continue;
      const left = survivorOf(header, register);
      if (left !== register) entries.set(key, left);
    }
  }

  /** An entry, without its value where that does not decide what is left of it. */
  #outline(object: PendingObject, key: string): Register | undefined {
    const { before, isWritten } = this.#leaf(object, key);
    if (isWritten || before === undefined || kindOfLeaf(before) === 'join') return this.#register(object, key);
    return tombstoneOf(decodeLeaf(before).stamp);
  }

  #keysOf(object: PendingObject): Set<string> {
    const keys = new Set((object.keys ??= this.#storedKeys(object.id)));
    for (const key of object.leaves.keys()) keys.add(key);
    return keys;
  }

  #storedKeys(id: string): string[] {
    const { storage, location } = this.#options;
    const start = leafKey(location, treeKeyOf(id, ''));
    const from = headLength + id.length + 1;
    return Array.from(storage.range({ start, end: prefixEnd(start) }), ({ key }) =>
      bufferOf(key).toString('latin1', from),
    );
  }

  #object(id: string): PendingObject {
    const known = this.#objects.get(id);
    if (known !== undefined) return known;
    const { storage, location, leafKeys } = this.#options;
    const stored = storage.get(headerKey(location, id));
    const before = stored === undefined ? undefined : decodeHeader(stored);
    const object: PendingObject = {
      ...{ id, stored, before, header: before, leaves: new Map(), local: undefined },
      keys: before === undefined ? [] : leafKeys.of(id),
    };
    this.#objects.set(id, object);
    return object;
  }

  #leaf(object: PendingObject, key: string): PendingLeaf {
    const known = object.leaves.get(key);
    if (known !== undefined) return known;
    const { id } = object;
    const { storage, location } = this.#options;
    const before = object.before === undefined ? undefined : storage.get(leafKey(location, treeKeyOf(id, key)));
    const leaf: PendingLeaf = { before, register: undefined, isWritten: false, old: undefined };
    object.leaves.set(key, leaf);
    return leaf;
  }

  #register(object: PendingObject, key: string): Register | undefined {
    const leaf = this.#leaf(object, key);
    if (leaf.isWritten || leaf.before === undefined) return leaf.register;
    return (leaf.register ??= this.#storedRegister(object, key, leaf.before));
  }

  #storedRegister(object: PendingObject, key: string, leaf: Uint8Array): Register {
    const { kind, stamp } = decodeLeaf(leaf);
    if (kind === 'tombstone') return tombstoneOf(stamp);
    const value = this.#visible.value(object.id, key);
    if (value === undefined) {
      throw oaasError('StorageCorrupt', 'an entry is missing that has a stamp', {
        remedy: 'Repair this replica from the others.',
        details: { objectId: object.id, key, group: this.#options.location.shard },
      });
    }
    return { stamp, type: value.type, value: value.data, expiresAt: value.expiresAt };
  }

  #setLeaf(object: PendingObject, key: string, register: Register | undefined, old: Value | undefined): void {
    const leaf = this.#leaf(object, key);
    if (!leaf.isWritten) {
      leaf.isWritten = true;
      leaf.old = old;
    }
    leaf.register = register;
  }

  #moveGrave(operations: WriteOperation[], treeKey: Key, before: number | undefined, after: number | undefined): void {
    const { location } = this.#options;
    if (before !== undefined && before !== after) {
      operations.push({ type: 'delete', key: graveKey(location, before, treeKey) });
    }
    if (after !== undefined) operations.push({ type: 'put', key: graveKey(location, after, treeKey), value: grave });
  }
}

const grave = Uint8Array.of(1);

/** Leaf of an object's header; undefined for none. */
export function headerLeaf(header: ObjectHeader | undefined, encoded: Uint8Array | undefined): Uint8Array | undefined {
  if (header === undefined || encoded === undefined) return undefined;
  return encodeLeaf({ stamp: headerStamp(header), kind: 'join', digest: digestOf(encoded) });
}

/** Leaf of an entry. */
export function leafOfRegister(register: Register): Uint8Array {
  const bytes = Buffer.allocUnsafe(registerBytes(register));
  putRegister(bytes, register, 0);
  const digest = digestOf(bytes);
  return encodeLeaf({ stamp: register.stamp, kind: leafKindOf(register), digest });
}

/** Where the grave of a leaf would be, if it has one. */
function leafGrave(bytes: Uint8Array | undefined): number | undefined {
  return bytes === undefined || kindOfLeaf(bytes) === 'lww' ? undefined : decodeLeaf(bytes).stamp.ms;
}

function registerGrave(register: Register | undefined): number | undefined {
  if (register === undefined) return undefined;
  if (register.value === undefined) return register.stamp.ms;
  const map = mapOf(register);
  const hasGaps = map !== undefined && [...map.elements.values()].some(({ value }) => value === undefined);
  return hasGaps ? register.stamp.ms : undefined;
}

function headerGrave(header: ObjectHeader | undefined): number | undefined {
  return header === undefined || isAlive(header) ? undefined : headerStamp(header).ms;
}

function isCleared(before: ObjectHeader, after: ObjectHeader): boolean {
  return compareStamps(before.cleared, after.cleared) !== 0 || compareStamps(before.deleted, after.deleted) !== 0;
}

function valueOf(register: Register | undefined): Value | undefined {
  if (register?.value === undefined) return undefined;
  return { data: register.value, type: register.type, expiresAt: register.expiresAt };
}

function sizeOf(key: string, value: Value | undefined): number {
  return value === undefined ? 0 : key.length + value.data.length;
}

function putOrDelete(key: Uint8Array, value: Uint8Array | undefined): WriteOperation {
  return value === undefined ? { type: 'delete', key } : { type: 'put', key, value };
}

function isSameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
