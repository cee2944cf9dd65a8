import { oaasError } from '@oaas/commons/errors';
import {
  changeRefs,
  keyOfDot,
  maxNameLength,
  mergeRefs,
  type NamedRef,
  namedRefs,
  noRefs,
  type Ref,
  type RefDot,
  type RefSet,
  refsFromJson,
  type RefsJson,
  refsToJson,
  type RefValue,
  withdrawal,
} from './refs.ts';
import type { PageHash } from './types.ts';

/** A root that is kept, and when it was the state. */
export interface Version {
  /**
   * From 1, one more for each version recorded, and for each label that came from another replica; never used again.
   * Numbers are this replica's: others have other ones.
   */
  readonly sequence: number;
  readonly root: PageHash;
  /** Milliseconds since the Unix epoch. Of recorded ones never before the version before it, whatever the clock did. */
  readonly atMs: number;
  /** A version with a label is kept until the label goes. */
  readonly label?: string | undefined;
}

/** A line of changes beside the main one. */
export interface Branch {
  readonly name: string;
  readonly root: PageHash;
  /** Where it left the main line, or was last merged with it: the base of the next merge. */
  readonly base: PageHash;
}

/** All there is to store of a {@link VersionHistory}. */
export interface HistoryState {
  readonly nextSequence: number;
  /** Those that were recorded here, oldest first; a label only in the form that was before `refs`. */
  readonly versions: readonly Version[];
  /** Labels and branches. */
  readonly refs: RefsJson;
  /** Numbers of versions with a label, by the keys of the labels' dots. */
  readonly labelled: readonly (readonly [dot: string, sequence: number])[];
}

/** As it was stored when labels and branches were this replica's own. */
export interface FormerHistoryState {
  readonly nextSequence: number;
  readonly versions: readonly Version[];
  readonly branches: readonly Branch[];
}

export interface HistoryLimits {
  /** Newest versions without a label that are kept. Older ones go. */
  readonly versions: number;
  /** One more is refused with `ResourceExhausted`. */
  readonly labels: number;
  /**
   * One more is refused with `ResourceExhausted`. What several replicas begin at the same time may come to more; from
   * twice as many on branches are not changed any more either, but only merged and deleted.
   */
  readonly branches: number;
}

export const defaultHistoryLimits: HistoryLimits = { versions: 128, labels: 128, branches: 32 };

/** Who changes labels and branches. */
export interface RefAuthor {
  readonly member: number;
  /** Of the replica. */
  readonly epoch: number;
  /** A new stamp, later than all that the replica has given or heard of. */
  readonly stamp: () => Omit<RefDot, 'epoch'>;
}

export interface HistoryOptions {
  readonly author: RefAuthor;
  readonly limits?: Partial<HistoryLimits> | undefined;
  /** Default: nothing. */
  readonly state?: HistoryState | FormerHistoryState | undefined;
}

/**
 * Which roots of one tree are kept, and under which names. It says what to keep; pages are kept by the collector. The
 * versions that are recorded are this replica's own; labels and branches are those of the shard, as far as they are
 * known and all that they name is here.
 */
export class VersionHistory {
  readonly #limits: HistoryLimits;
  readonly #author: RefAuthor;
  /** Recorded here. */
  #versions: readonly Version[] = [];
  #refs = noRefs;
  /** Of labels, by the keys of their dots. */
  #labelled = new Map<string, number>();
  #nextSequence = 1;

  /** `DataLoss` for a state that is none. */
  constructor({ author, limits = {}, state }: HistoryOptions) {
    this.#limits = { ...defaultHistoryLimits, ...limits };
    this.#author = author;
    this.reset(state);
  }

  /** All that was changed since that state is undone. `DataLoss` for a state that is none. */
  reset(state: HistoryState | FormerHistoryState | undefined): void {
    this.#versions = (state?.versions ?? []).map(({ sequence, root, atMs }) => ({ sequence, root, atMs }));
    this.#nextSequence = state?.nextSequence ?? 1;
    this.#refs = noRefs;
    this.#labelled = new Map();
    if (state === undefined) return;
    if ('refs' in state) {
      this.#refs = refsFromJson(state.refs);
      this.#labelled = new Map(state.labelled);
    } else {
      this.#takeFormer(state);
    }
  }

  get state(): HistoryState {
    return {
      ...{ nextSequence: this.#nextSequence, versions: this.#versions },
      ...{ refs: refsToJson(this.#refs), labelled: [...this.#labelled] },
    };
  }

  /** The last one that was recorded here. */
  get latest(): Version | undefined {
    return this.#versions.at(-1);
  }

  /** Oldest first: those recorded here, and those that other replicas have given a label. */
  get versions(): readonly Version[] {
    const all = new Map(this.#versions.map((version) => [version.sequence, version]));
    for (const label of namedRefs(this.#refs, 'label')) {
      const sequence = this.#sequenceOf(label);
      if (sequence === undefined || label.ref.kind !== 'label') continue;
      const { root, atMs } = all.get(sequence) ?? label.ref;
      all.set(sequence, { sequence, root, atMs, label: label.name });
    }
    return [...all.values()].sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence);
  }

  /** In the order of names. */
  get branches(): readonly Branch[] {
    return namedRefs(this.#refs, 'branch').flatMap(({ name, ref }) =>
      ref.kind === 'branch' ? { name, root: ref.root, base: ref.base } : [],
    );
  }

  /** Labels and branches. */
  get refs(): RefSet {
    return this.#refs;
  }

  /** Every root that must stay readable, besides the state that trees are at. */
  roots(): Set<PageHash> {
    const roots = new Set(this.#versions.map(({ root }) => root));
    for (const ref of this.#refs.refs) for (const root of rootsOf(ref)) roots.add(root);
    return roots;
  }

  /** Keeps a root as the newest version. The same root again is the version that it was: nothing is recorded. */
  record(root: PageHash, nowMs: number): Version {
    const latest = this.latest;
    if (latest?.root === root) return latest;
    const version = { sequence: this.#nextSequence++, root, atMs: Math.max(nowMs, latest?.atMs ?? 0) };
    this.#versions = [...this.#versions, version];
    this.#prune();
    return version;
  }

  /**
   * The state at a time: the last version recorded here at or before it. Absent when that one may be among those that
   * are not kept any more.
   */
  at(ms: number): Version | undefined {
    const index = this.#versions.findLastIndex((version) => version.atMs <= ms);
    const version = this.#versions[index];
    if (version === undefined) return undefined;
    const labelled = new Set(this.#labelled.values());
    // What goes goes from the oldest on: from the first without a label on nothing is missing.
    const whole = this.#versions.find(({ sequence }) => !labelled.has(sequence))?.sequence ?? this.#nextSequence;
    const next = this.#versions[index + 1]?.sequence ?? this.#nextSequence;
    return version.sequence >= whole || version.sequence === next - 1 ? version : undefined;
  }

  /** By number or by label. */
  find(name: number | string): Version | undefined {
    return this.versions.find((version) => version.sequence === name || version.label === name);
  }

  /**
   * Gives a version a label, or takes it away. `NotFound` when the version is not kept; `AlreadyExists` when one of
   * another root has the label; `ResourceExhausted` at the bound. With a label that another version of the same root
   * has nothing changes.
   */
  label(sequence: number, label: string | undefined): void {
    const version = this.find(sequence);
    if (version === undefined) throw oaasError('NotFound', `version ${sequence} is not kept`);
    if (version.label === label) return;
    const labels = namedRefs(this.#refs, 'label');
    const former = labels.find((one) => this.#sequenceOf(one) === sequence);
    const { root, atMs } = version;
    if (label !== undefined) {
      checkName(label);
      const holder = labels.find(({ name }) => name === label);
      if (holder?.ref.root === root) return;
      if (holder !== undefined) {
        const number = String(this.#sequenceOf(holder) ?? '');
        throw oaasError('AlreadyExists', `version ${number} has the label ${label}`);
      }
      checkRoom(former === undefined ? labels.length : labels.length - 1, this.#limits.labels, 'labels');
    }
    this.#change(former, label === undefined ? undefined : { kind: 'label', name: label, root, atMs }, sequence);
  }

  branch(name: string): Branch | undefined {
    return this.branches.find((branch) => branch.name === name);
  }

  /** Begins a branch at `root`. `AlreadyExists`; `ResourceExhausted` at the bound. */
  createBranch(name: string, root: PageHash): Branch {
    checkName(name);
    const { branches } = this;
    if (branches.some((branch) => branch.name === name)) {
      throw oaasError('AlreadyExists', `there is a branch ${name}`);
    }
    checkRoom(branches.length, this.#limits.branches, 'branches');
    this.#change(undefined, { kind: 'branch', name, root, base: root });
    return { name, root, base: root };
  }

  /**
   * Moves a branch on from `from` to `root`; with `base`, after a merge. `NotFound`; `Conflict` when the branch is not
   * at `from`: somebody else moved it; `ResourceExhausted` when there are twice as many branches as there may be.
   */
  moveBranch(name: string, from: PageHash, root: PageHash, base?: PageHash): Branch {
    const branches = namedRefs(this.#refs, 'branch');
    const branch = branches.find((one) => one.name === name);
    if (branch?.ref.kind !== 'branch') throw oaasError('NotFound', `there is no branch ${name}`);
    const { root: current, base: before } = branch.ref;
    if (current !== from) {
      throw oaasError('Conflict', `the branch ${name} has moved`, { details: { expected: from, current } });
    }
    if (base === undefined && branches.length > 2 * this.#limits.branches) {
      throw oaasError('ResourceExhausted', `there are ${String(branches.length)} branches`, {
        remedy: 'Merge and delete some: replicas that were apart have begun too many.',
      });
    }
    const moved = { name, root, base: base ?? before };
    this.#replace(branch, { kind: 'branch', ...moved });
    return moved;
  }

  /** False when there was none. What others made of it at the same time stays, under the name that it has. */
  deleteBranch(name: string): boolean {
    const branch = namedRefs(this.#refs, 'branch').find((one) => one.name === name);
    if (branch === undefined) return false;
    this.#change(branch, undefined);
    return true;
  }

  /** Takes over what another replica knows. All that it names must be here. */
  merge(theirs: RefSet): void {
    this.#refs = mergeRefs(this.#refs, theirs);
    this.#number();
  }

  #change(former: NamedRef | undefined, value: RefValue | undefined, sequence?: number): void {
    const { remove, add } = former === undefined ? { remove: [], add: [] } : withdrawal(this.#refs, former);
    this.#refs = changeRefs(this.#refs, { remove, add }, () => this.#dot());
    if (value !== undefined) {
      const dot = this.#dot();
      this.#refs = changeRefs(this.#refs, { remove: [], add: [value] }, () => dot);
      if (sequence !== undefined) this.#labelled.set(keyOfDot(dot), sequence);
    }
    this.#number();
  }

  /** What others made of the same name at the same time stays beside it. */
  #replace(former: NamedRef, value: RefValue): void {
    this.#refs = changeRefs(this.#refs, { remove: former.refs, add: [value] }, () => this.#dot());
  }

  #dot(): RefDot {
    return { ...this.#author.stamp(), epoch: this.#author.epoch };
  }

  #sequenceOf({ refs }: NamedRef): number | undefined {
    for (const { dot } of refs) {
      const sequence = this.#labelled.get(keyOfDot(dot));
      if (sequence !== undefined) return sequence;
    }
    return undefined;
  }

  /** Every label is on a version: one of the same root that was recorded here, or one of its own. */
  #number(): void {
    const present = new Set(this.#refs.refs.map(({ dot }) => keyOfDot(dot)));
    for (const key of this.#labelled.keys()) if (!present.has(key)) this.#labelled.delete(key);
    const used = new Set(this.#labelled.values());
    for (const label of namedRefs(this.#refs, 'label')) {
      if (this.#sequenceOf(label) !== undefined) continue;
      const own = this.#versions.findLast(({ root, sequence }) => root === label.ref.root && !used.has(sequence));
      const sequence = own?.sequence ?? this.#nextSequence++;
      used.add(sequence);
      this.#labelled.set(keyOfDot(label.ref.dot), sequence);
    }
    this.#prune();
  }

  #prune(): void {
    const labelled = new Set(this.#labelled.values());
    const isPlain = ({ sequence }: Version): boolean => !labelled.has(sequence);
    let excess = this.#versions.filter(isPlain).length - this.#limits.versions;
    this.#versions = this.#versions.filter((version) => !isPlain(version) || excess-- <= 0);
  }

  /** Earlier than anything that is changed from now on; the same each time, until it is stored. */
  #takeFormer({ versions, branches }: FormerHistoryState): void {
    const { member, epoch } = this.#author;
    let ms = 0;
    const dot = (): RefDot => ({ ms: (ms += 1), counter: 0, member, epoch });
    const labelled = versions.filter(({ label }) => label !== undefined);
    const labels = labelled.map(({ label = '', root, atMs }) => ({ kind: 'label', name: label, root, atMs }) as const);
    const lines = branches.map((branch) => ({ kind: 'branch', ...branch }) as const);
    this.#refs = changeRefs(noRefs, { remove: [], add: [...labels, ...lines] }, dot);
    for (const { kind, name, dot: of } of this.#refs.refs) {
      const version = kind === 'label' ? labelled.find(({ label }) => label === name) : undefined;
      if (version !== undefined) this.#labelled.set(keyOfDot(of), version.sequence);
    }
  }
}

/** What must be readable for a label or branch to be of use. */
export function rootsOf(ref: Ref): PageHash[] {
  return ref.kind === 'branch' ? [ref.base, ref.root] : [ref.root];
}

/** As ids everywhere: lowercase, digits, and `._:-`, 1 to 160 of them. All digits would read as a number. */
function checkName(name: string): void {
  if (!/^[a-z0-9._:-]+$/.test(name) || name.length > maxNameLength || /^\d+$/.test(name)) {
    throw oaasError('InvalidArgument', `"${name.slice(0, 160)}" is no name for a version or branch`, {
      remedy: 'Use 1 to 160 of a-z, 0-9 and ._:-, and not digits alone.',
    });
  }
}

function checkRoom(used: number, limit: number, what: string): void {
  if (used < limit) return;
  throw oaasError('ResourceExhausted', `a shard keeps at most ${limit} ${what}`, { details: { limit } });
}
