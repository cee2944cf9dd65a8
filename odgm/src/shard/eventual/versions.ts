import { isOaasError, oaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import {
  asOf,
  changeHeader,
  deleteHeader,
  encodeHeader,
  encodeRegister,
  isAlive,
  type MergeConflict,
  mergeObject,
  type MergePolicy,
  type ObjectHeader,
  type ObjectMerge,
  type Register,
  type Stamp,
  survivorOf,
  type ThreeWay,
  tombstoneOf,
  versionOf,
  writeRegister,
} from '../../merge/index.ts';
import {
  type Branch,
  diffThreeWay,
  diffTrees,
  type Key,
  MerkleSearchTree,
  type PageHash,
  type Version,
  type VersionHistory,
} from '../../merkle/index.ts';
import type { Engine, WriteOperation } from '../../storage/index.ts';
import { checkMutation, type EntriesView, isSame as isSameValue, planChange } from '../apply.ts';
import type { Mutation, ShardLimits, StoredObject, Value } from '../model.ts';
import type { ShardLocation } from '../records.ts';
import { digestOf, keptKey, ofTreeKey, treeKeyOf } from './records.ts';
import { headerLeaf, leafOfRegister } from './transaction.ts';
import type { TreeIndex } from './tree-index.ts';
import { VersionStates } from './version-states.ts';

/** What versions need of their shard. */
export interface VersionsOptions {
  readonly shard: {
    readonly isPrimary: boolean;
    whenIdle<T>(run: () => Promise<T>): Promise<T>;
    mutate(mutation: Mutation): Promise<unknown>;
  };
  readonly history: VersionHistory;
  readonly engine: Engine;
  readonly location: ShardLocation;
  readonly index: TreeIndex;
  readonly clock: Clock;
  readonly member: number;
  /** Stores the tree as it is now, which records a version. */
  readonly commit: () => Promise<void>;
  readonly stamp: () => Stamp;
  /** Of the collection, as they are now. */
  readonly limits: () => ShardLimits;
  /** Throws what this mutation of the main line would be rejected with now; changes nothing. */
  readonly check: (mutation: Mutation) => void;
  /** To be written with what has the stamp. */
  readonly clockOperation: () => WriteOperation;
  /** Labels or branches changed. Resolves when another replica has them too, or that cannot be waited for. */
  readonly spread: () => Promise<void>;
}

/** Of one object. */
type OwnMutation = Extract<Mutation, { type: 'change' | 'delete' }>;

/** Something that is not the same in two versions. */
export interface EntryDifference {
  readonly objectId: string;
  /** Undefined: the object itself was made, deleted, or changed its version. */
  readonly key: string | undefined;
  readonly before: Value | undefined;
  readonly after: Value | undefined;
  /** Versions of the object, 0 where there is none. Of differences of the object itself. */
  readonly versions?: readonly [before: number, after: number] | undefined;
}

export interface BranchMerge {
  /** Objects that were changed or deleted, or would be. */
  readonly objects: readonly string[];
  readonly conflicts: readonly MergeConflict[];
  /** False: nothing was written. */
  readonly isDone: boolean;
}

/** Differences given at once. */
const maxDifferences = 1000;
/** Times that a merge begins anew because objects changed meanwhile. */
const maxTries = 5;
const elsewhere =
  'List the versions. Those without a label are of one replica: others, which are asked by their node, have other ones.';

/**
 * Versions of a shard of type mst, as one of its replicas has them. A version is a root: replicas with the same content
 * have the same root, whoever recorded it.
 *
 * A version is recorded whenever the tree is stored with changes, which happens with every comparison of replicas; the
 * newest 128 are kept, by each replica its own. Names of versions are: a root, a number (of this replica), a label, the
 * name of a branch, `now`, or a time (the last version recorded here by then).
 *
 * Labels and branches, with all that they name, are kept by every replica. A change of them is decided here, and answered
 * when it is on this node's disk and on that of another replica as well; as objects it is taken when no other one can be
 * reached, or none answers within 2 seconds, and goes to the others later. What two replicas make of one name before they
 * hear of each other both stays: the later one under the name, the other one under `<name>.<number of its member>`. So
 * does a branch that one changes while another deletes it.
 */
export class ShardVersions {
  readonly #options: VersionsOptions;
  readonly #states: VersionStates;

  constructor(options: VersionsOptions) {
    const { engine, location, index } = options;
    this.#options = options;
    this.#states = new VersionStates(engine, location, index.pages);
  }

  /** Oldest first. */
  get versions(): readonly Version[] {
    return this.#options.history.versions;
  }

  get branches(): readonly Branch[] {
    return this.#options.history.branches;
  }

  /** Records the present state, and gives it a label where one is asked for. Rejects as {@link label}. */
  async record(label?: string): Promise<Version> {
    const { history, index, clock, commit, shard } = this.#options;
    if (label === undefined) {
      return shard.whenIdle(async () => {
        await commit();
        const version = history.record(index.root, clock.now());
        await index.saveHistory([]);
        return version;
      });
    }
    return this.#change(async () => {
      await commit();
      const version = history.record(index.root, clock.now());
      history.label(version.sequence, label);
      return history.find(label) ?? version;
    });
  }

  /**
   * Gives a version a label, or takes it away. Rejects as {@link VersionHistory.label}, and with `NoLeader` while this
   * replica takes no writes.
   */
  label(sequence: number, label: string | undefined): Promise<void> {
    const { history } = this.#options;
    return this.#change(() => {
      history.label(sequence, label);
    });
  }

  /** The root that a name means. `NotFound` for one that is not kept. */
  resolve(name: string): PageHash {
    const { history, index } = this.#options;
    if (name === 'now') return index.root;
    const branch = history.branch(name);
    if (branch !== undefined) return branch.root;
    const found = history.find(/^\d+$/.test(name) ? Number(name) : name);
    if (found !== undefined) return found.root;
    if (name === index.pages.emptyRoot || name === index.root || history.roots().has(name)) return name;
    const at = /^\d{4}-/.test(name) ? history.at(Date.parse(name)) : undefined;
    if (at !== undefined) return at.root;
    throw oaasError('NotFound', `there is no version or branch "${name.slice(0, 160)}" here`, {
      remedy: elsewhere,
    });
  }

  /** The object as it was; undefined where there was none. */
  object(name: string, id: string): StoredObject | undefined {
    const root = this.resolve(name);
    const header = this.#states.header(root, id);
    if (header === undefined || !isAlive(header)) return undefined;
    return objectOf(id, header, this.#states.registers(root, id));
  }

  /** What differs between two versions, in the order of ids and keys: at most 1,000, from an object on. */
  diff(
    from: string,
    to: string,
    start?: string,
  ): { readonly differences: readonly EntryDifference[]; readonly next?: string } {
    const [before, after] = [this.resolve(from), this.resolve(to)];
    const differences: EntryDifference[] = [];
    for (const { key: treeKey, ours, theirs } of diffTrees(this.#options.index.pages, before, after, { start })) {
      const { id, key } = ofTreeKey(treeKey);
      if (differences.length >= maxDifferences && key === undefined) return { differences, next: id };
      if (key === undefined) {
        const versions = [ours, theirs].map((leaf) => versionOf(this.#states.headerOf(id, leaf))) as [number, number];
        if (versions[0] !== versions[1]) {
          differences.push({ objectId: id, key, before: undefined, after: undefined, versions });
        }
        continue;
      }
      const [old, now] = [
        valueOf(this.#states.registerOf(treeKey, ours)),
        valueOf(this.#states.registerOf(treeKey, theirs)),
      ];
      const isSame = old === undefined || now === undefined ? old === now : isSameValue(old, now);
      if (!isSame) differences.push({ objectId: id, key, before: old, after: now });
    }
    return { differences };
  }

  /** Begins a line of changes beside the main one. `AlreadyExists`, `ResourceExhausted`, `NotFound`, `NoLeader`. */
  createBranch(name: string, from: string): Promise<Branch> {
    const { history, commit } = this.#options;
    return this.#change(async () => {
      if (from === 'now') await commit();
      return history.createBranch(name, this.resolve(from));
    });
  }

  /** False when there was none. `NoLeader` while this replica takes no writes. */
  deleteBranch(name: string): Promise<boolean> {
    return this.#change(() => this.#options.history.deleteBranch(name));
  }

  /**
   * Changes an object on a branch; nobody sees it until the branch is merged. `VersionConflict` and `NoLeader` as on the
   * main line; `ResourceExhausted` over a limit of the collection, and as {@link VersionHistory.moveBranch}. A write that
   * finds everything as it should be is none.
   */
  writeBranch(name: string, mutation: OwnMutation): Promise<{ readonly root: PageHash; readonly version: number }> {
    const { history, index, limits } = this.#options;
    return this.#change((kept) => {
      checkMutation(mutation, limits());
      const branch = this.#branch(name);
      const id = mutation.objectId;
      const held = this.#states.header(branch.root, id);
      const current = versionOf(held);
      if (mutation.expectedVersion !== undefined && mutation.expectedVersion !== current) {
        throw oaasError('VersionConflict', `object ${id} is at version ${String(current)} on branch ${name}`, {
          details: { objectId: id, expectedVersion: mutation.expectedVersion, currentVersion: current },
        });
      }
      const changed = this.#changed(branch.root, held, mutation);
      if (changed === undefined) return { root: branch.root, version: current };
      const { header, registers } = changed;
      const tree = new MerkleSearchTree(index.pages, branch.root);
      const encoded = encodeHeader(header);
      const leaf = headerLeaf(header, encoded);
      if (leaf !== undefined) tree.upsert(id, leaf);
      kept.push({ type: 'put', key: keptKey(this.#options.location, digestOf(encoded)), value: encoded });
      for (const [key, register] of registers) {
        const treeKey = treeKeyOf(id, key);
        if (register === undefined) {
          tree.remove(treeKey);
          continue;
        }
        const bytes = encodeRegister(register);
        tree.upsert(treeKey, leafOfRegister(register));
        kept.push({ type: 'put', key: keptKey(this.#options.location, digestOf(bytes)), value: bytes });
      }
      const root = tree.commit();
      history.moveBranch(name, branch.root, root);
      return { root, version: versionOf(header) };
    });
  }

  /**
   * Merges a branch into the main line: what it changed since it began, or since it was last merged. Each object is
   * written as one batch, decided against what it is now; when that changed meanwhile, the merge begins anew. With
   * policy `list` conflicts stay as they are on the main line, and come again with the next merge. `isDryRun`: says what
   * would be. `Conflict` when objects change faster than they can be merged. `ResourceExhausted`, before anything is
   * written, when an object would go over a limit of the collection.
   */
  async mergeBranch(name: string, policy: MergePolicy, isDryRun = false): Promise<BranchMerge> {
    const { shard, history, commit } = this.#options;
    const objects = new Set<string>();
    for (let tries = 0; tries < maxTries; tries++) {
      const { theirs, merges, mutations, unpin } = await shard.whenIdle(async () => {
        await commit();
        return this.#plan(this.#branch(name), policy);
      });
      try {
        const conflicts = merges.flatMap((merge) => merge.conflicts);
        if (isDryRun) return { objects: mutations.map(({ objectId }) => objectId), conflicts, isDone: false };
        for (const mutation of mutations) {
          await shard.mutate(mutation);
          objects.add(mutation.objectId);
        }
        await this.#change(async () => {
          await commit();
          const isResolved = policy !== 'list' || conflicts.length === 0;
          const present = this.#branch(name);
          if (isResolved) history.moveBranch(name, present.root, present.root, theirs);
        });
        return { objects: [...objects], conflicts, isDone: true };
      } catch (error) {
        if (!isOaasError(error, 'VersionConflict')) throw error;
      } finally {
        unpin();
      }
    }
    throw oaasError('Conflict', `objects change faster than branch ${name} can be merged`, {
      remedy: 'Merge again; what was merged stays merged.',
    });
  }

  /** Changes labels or branches; stores them with what `run` adds to `more`, and has the other replicas take them over. */
  async #change<T>(run: (more: WriteOperation[]) => T | Promise<T>): Promise<T> {
    const { shard, history, index, clockOperation, spread } = this.#options;
    const result = await shard.whenIdle(async () => {
      if (!shard.isPrimary) throw oaasError('NoLeader', 'this replica takes no writes', { details: { leader: 0 } });
      const { refs } = history;
      const more: WriteOperation[] = [];
      const done = await run(more);
      if (history.refs !== refs) await index.saveHistory([...more, clockOperation()]);
      return done;
    });
    // Also when nothing changed: it may be asked for again because the answer to the first time did not arrive.
    await spread();
    return result;
  }

  // ---- merging

  #plan(branch: Branch, policy: MergePolicy) {
    const { index, clock } = this.#options;
    const now = clock.now();
    const ours = index.root;
    const roots = { base: branch.base, ours, theirs: branch.root };
    const registerOf = (treeKey: Key, leaf: Uint8Array | undefined): Register | undefined =>
      asOf(this.#states.registerOf(treeKey, leaf), now);
    const byObject = new Map<string, Map<string, ThreeWay<Register>>>();
    for (const { key: treeKey, base, ours: own, theirs } of diffThreeWay(index.pages, roots)) {
      const { id, key } = ofTreeKey(treeKey);
      const entries = byObject.get(id) ?? new Map<string, ThreeWay<Register>>();
      byObject.set(id, entries);
      if (key === undefined) continue;
      entries.set(key, {
        base: registerOf(treeKey, base),
        ours: registerOf(treeKey, own),
        theirs: registerOf(treeKey, theirs),
      });
    }
    const merges: ObjectMerge[] = [];
    const mutations: OwnMutation[] = [];
    for (const [objectId, entries] of byObject) {
      const header = {
        base: this.#states.header(roots.base, objectId),
        ours: this.#states.header(ours, objectId),
        theirs: this.#states.header(roots.theirs, objectId),
      };
      const own = [...currentOf(this.#states.registers(ours, objectId), now).values()];
      const ourEntryCount = isAlive(header.ours) ? own.filter(({ value }) => value !== undefined).length : 0;
      const merge = mergeObject({ objectId, header, entries, ourEntryCount }, policy);
      merges.push(merge);
      if (merge.outcome !== 'none') mutations.push(mutationOf(merge, versionOf(header.ours)));
    }
    for (const mutation of mutations) this.#checkMerge(branch.name, mutation);
    return Promise.resolve({ theirs: branch.root, merges, mutations, unpin: index.pin(ours) });
  }

  #checkMerge(branch: string, mutation: OwnMutation): void {
    try {
      this.#options.check(mutation);
    } catch (error) {
      if (!isOaasError(error, 'ResourceExhausted')) throw error;
      const { objectId } = mutation;
      throw oaasError('ResourceExhausted', `branch ${branch} cannot be merged: object ${objectId}: ${error.message}`, {
        remedy: 'Write less of it on the branch or the main line, or raise the limit of the collection.',
        details: { ...error.details, objectId },
      });
    }
  }

  #branch(name: string): Branch {
    const branch = this.#options.history.branch(name);
    if (branch === undefined)
      throw oaasError('NotFound', `there is no branch ${name.slice(0, 160)} here`, { remedy: elsewhere });
    return branch;
  }

  /** The object's header, and its entries as far as they change; undefined when nothing does. */
  #changed(
    root: PageHash,
    held: ObjectHeader | undefined,
    mutation: OwnMutation,
  ): { header: ObjectHeader; registers: Map<string, Register | undefined> } | undefined {
    const { member, limits, clock } = this.#options;
    const registers = new Map<string, Register | undefined>();
    const own = this.#states.registers(root, mutation.objectId);
    if (mutation.type === 'delete') {
      if (held === undefined || !isAlive(held)) return undefined;
      for (const key of own.keys()) registers.set(key, undefined);
      return { header: deleteHeader(held, this.#options.stamp(), member), registers };
    }
    const stamp = this.#options.stamp();
    const now = clock.now();
    const { objectId: id, replace } = mutation;
    const header = changeHeader(held, { stamp, member, replace, event: mutation.event });
    const written = new Map<string, Register>();
    const put = new Map<string, Value>();
    for (const [key, { data, type, expiresAt }] of mutation.put) {
      const register = survivorOf(
        header,
        writeRegister(asOf(own.get(key), now), { type, value: data, expiresAt }, stamp),
      );
      const value = valueOf(register);
      if (register === undefined || value === undefined) continue;
      written.set(key, register);
      put.set(key, value);
    }
    const before = held !== undefined && isAlive(held) ? objectOf(id, held, currentOf(own, now)) : undefined;
    const view: EntriesView = {
      value: (_, key) => before?.entries.get(key),
      entries: () => before?.entries ?? [],
    };
    const planned = planChange(view, { ...mutation, put }, before?.meta, limits());
    if (planned === undefined) return undefined;
    if (replace) {
      // What stays has to be newer than what the header clears.
      for (const key of own.keys()) registers.set(key, undefined);
      for (const [key, register] of written) registers.set(key, register);
      return { header, registers };
    }
    for (const { key, value } of planned.changes) {
      registers.set(key, value === undefined ? tombstoneOf(stamp) : written.get(key));
    }
    return { header, registers };
  }
}

function mutationOf({ objectId, outcome, put, remove, event }: ObjectMerge, expectedVersion: number): OwnMutation {
  if (outcome === 'delete') return { type: 'delete', objectId, expectedVersion };
  const values = [...put].flatMap(([key, write]): [string, Value][] => {
    const { value, type, expiresAt } = write;
    return value === undefined ? [] : [[key, { data: value, type, expiresAt }]];
  });
  return { type: 'change', objectId, put: new Map(values), remove, replace: false, event, expectedVersion };
}

function objectOf(id: string, header: ObjectHeader, registers: ReadonlyMap<string, Register>): StoredObject {
  const entries = new Map<string, Value>();
  let bytes = id.length;
  for (const [key, register] of registers) {
    const value = valueOf(register);
    if (value === undefined) continue;
    entries.set(key, value);
    bytes += key.length + value.data.length;
  }
  return {
    meta: { version: versionOf(header), entryCount: entries.size, bytes, event: header.event?.value },
    entries,
  };
}

/** Entries as they count at a time. */
function currentOf(registers: ReadonlyMap<string, Register>, nowMs: number): Map<string, Register> {
  return new Map([...registers].map(([key, register]) => [key, asOf(register, nowMs)]));
}

function valueOf(register: Register | undefined): Value | undefined {
  if (register?.value === undefined) return undefined;
  return { data: register.value, type: register.type, expiresAt: register.expiresAt };
}
