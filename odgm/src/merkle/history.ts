import { oaasError } from '@oaas/commons/errors';
import type { PageHash } from './types.ts';

/** A root that is kept, and when it was the state. */
export interface Version {
  /** From 1, one more for each version recorded; never used again. */
  readonly sequence: number;
  readonly root: PageHash;
  /** Milliseconds since the Unix epoch. Never before the version before it, whatever the clock did. */
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
  /** Oldest first. */
  readonly versions: readonly Version[];
  readonly branches: readonly Branch[];
}

export interface HistoryLimits {
  /** Newest versions without a label that are kept. Older ones go. */
  readonly versions: number;
  /** One more is refused with `ResourceExhausted`. */
  readonly labels: number;
  /** One more is refused with `ResourceExhausted`. */
  readonly branches: number;
}

export const defaultHistoryLimits: HistoryLimits = { versions: 128, labels: 128, branches: 32 };

/** Which roots of one tree are kept, and under which names. It says what to keep; pages are kept by the collector. */
export class VersionHistory {
  readonly #limits: HistoryLimits;
  #versions: Version[];
  readonly #branches: Map<string, Branch>;
  #nextSequence: number;

  constructor(limits: Partial<HistoryLimits> = {}, state?: HistoryState) {
    this.#limits = { ...defaultHistoryLimits, ...limits };
    this.#versions = [...(state?.versions ?? [])];
    this.#branches = new Map((state?.branches ?? []).map((branch) => [branch.name, branch]));
    this.#nextSequence = state?.nextSequence ?? 1;
  }

  get state(): HistoryState {
    return { nextSequence: this.#nextSequence, versions: this.#versions, branches: [...this.#branches.values()] };
  }

  get latest(): Version | undefined {
    return this.#versions.at(-1);
  }

  /** Oldest first. */
  get versions(): readonly Version[] {
    return this.#versions;
  }

  get branches(): readonly Branch[] {
    return [...this.#branches.values()];
  }

  /** Every root that must stay readable, besides the state that trees are at. */
  roots(): Set<PageHash> {
    const roots = new Set(this.#versions.map(({ root }) => root));
    for (const { root, base } of this.#branches.values()) roots.add(root).add(base);
    return roots;
  }

  /** Keeps a root as the newest version. The same root again is the version that it was: nothing is recorded. */
  record(root: PageHash, nowMs: number): Version {
    const latest = this.latest;
    if (latest?.root === root) return latest;
    const version = { sequence: this.#nextSequence++, root, atMs: Math.max(nowMs, latest?.atMs ?? 0) };
    this.#versions.push(version);
    this.#prune();
    return version;
  }

  /**
   * The state at a time: the last version recorded at or before it. Absent when that one may be among those that are
   * not kept any more.
   */
  at(ms: number): Version | undefined {
    const index = this.#versions.findLastIndex((version) => version.atMs <= ms);
    const version = this.#versions[index];
    const next = this.#versions[index + 1]?.sequence ?? this.#nextSequence;
    return version?.sequence === next - 1 ? version : undefined;
  }

  /** By number or by label. */
  find(name: number | string): Version | undefined {
    return this.#versions.find((version) => version.sequence === name || version.label === name);
  }

  /**
   * Gives a version a label, or takes it away. `NotFound` when the version is not kept; `AlreadyExists` when another
   * one has the label; `ResourceExhausted` at the bound.
   */
  label(sequence: number, label: string | undefined): void {
    const index = this.#versions.findIndex((version) => version.sequence === sequence);
    const version = this.#versions[index];
    if (version === undefined) throw oaasError('NotFound', `version ${sequence} is not kept`);
    if (label !== undefined) {
      checkName(label);
      const holder = this.find(label);
      if (holder !== undefined && holder !== version) {
        throw oaasError('AlreadyExists', `version ${holder.sequence} has the label ${label}`);
      }
      const others = this.#versions.filter((other) => other.label !== undefined && other !== version);
      checkRoom(others.length, this.#limits.labels, 'labels');
    }
    const { root, atMs } = version;
    this.#versions[index] = { sequence, root, atMs, ...(label === undefined ? {} : { label }) };
    this.#prune();
  }

  branch(name: string): Branch | undefined {
    return this.#branches.get(name);
  }

  /** Begins a branch at `root`. `AlreadyExists`; `ResourceExhausted` at the bound. */
  createBranch(name: string, root: PageHash): Branch {
    checkName(name);
    if (this.#branches.has(name)) throw oaasError('AlreadyExists', `there is a branch ${name}`);
    checkRoom(this.#branches.size, this.#limits.branches, 'branches');
    const branch = { name, root, base: root };
    this.#branches.set(name, branch);
    return branch;
  }

  /**
   * Moves a branch on from `from` to `root`; with `base`, after a merge. `NotFound`; `Conflict` when the branch is not
   * at `from`: somebody else moved it.
   */
  moveBranch(name: string, from: PageHash, root: PageHash, base?: PageHash): Branch {
    const branch = this.#branches.get(name);
    if (branch === undefined) throw oaasError('NotFound', `there is no branch ${name}`);
    if (branch.root !== from) {
      throw oaasError('Conflict', `the branch ${name} has moved`, {
        details: { expected: from, current: branch.root },
      });
    }
    const moved = { name, root, base: base ?? branch.base };
    this.#branches.set(name, moved);
    return moved;
  }

  /** False when there was none. */
  deleteBranch(name: string): boolean {
    return this.#branches.delete(name);
  }

  #prune(): void {
    let excess = this.#versions.filter((version) => version.label === undefined).length - this.#limits.versions;
    this.#versions = this.#versions.filter((version) => version.label !== undefined || excess-- <= 0);
  }
}

/** As ids everywhere: lowercase, digits, and `._:-`, 1 to 160 of them. All digits would read as a number. */
function checkName(name: string): void {
  if (!/^[a-z0-9._:-]{1,160}$/.test(name) || /^\d+$/.test(name)) {
    throw oaasError('InvalidArgument', `"${name.slice(0, 160)}" is no name for a version or branch`, {
      remedy: 'Use 1 to 160 of a-z, 0-9 and ._:-, and not digits alone.',
    });
  }
}

function checkRoom(used: number, limit: number, what: string): void {
  if (used < limit) return;
  throw oaasError('ResourceExhausted', `a shard keeps at most ${limit} ${what}`, { details: { limit } });
}
