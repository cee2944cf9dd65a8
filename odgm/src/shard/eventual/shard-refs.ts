import { oaasError } from '@oaas/commons/errors';
import { decodeLeaf, type Stamp } from '../../merge/index.ts';
import {
  keyOfDot,
  mergeRefs,
  type PageHash,
  type Ref,
  type RefSet,
  refsFromJson,
  refsToJson,
  rootsOf,
  type VersionHistory,
} from '../../merkle/index.ts';
import type { LeafName, ReplicaRefs, RefTakeover } from '../../replication/index.ts';
import type { Engine, WriteOperation } from '../../storage/index.ts';
import type { ShardLocation } from '../records.ts';
import { digestOf, hashOf, keptKey } from './records.ts';
import type { TreeIndex } from './tree-index.ts';
import { VersionStates } from './version-states.ts';

export interface ShardRefsOptions {
  readonly engine: Engine;
  readonly location: ShardLocation;
  readonly index: TreeIndex;
  readonly history: VersionHistory;
  readonly whenIdle: <T>(run: () => Promise<T>) => Promise<T>;
  /** Stores the tree as it is now. */
  readonly commit: () => Promise<void>;
  /** False for a stamp from too far in the future. */
  readonly observe: (stamp: Stamp) => boolean;
  readonly clockOperation: () => WriteOperation;
  /** Others may lack what was taken over. */
  readonly onTaken: () => void;
}

/** Leaves that are looked at between two turns of the event loop. */
const leavesAtOnce = 256;

/** Labels and branches of a replica on their way to and from others. See {@link VersionHistory}. */
export class ShardRefs implements ReplicaRefs {
  readonly #options: ShardRefsOptions;
  readonly #states: VersionStates;
  #digested: { readonly refs: RefSet; readonly digest: string } | undefined;

  constructor(options: ShardRefsOptions) {
    const { engine, location, index } = options;
    this.#options = options;
    this.#states = new VersionStates(engine, location, index.pages);
  }

  /** The same for the same labels and branches. */
  get digest(): string {
    const { refs } = this.#options.history;
    if (this.#digested?.refs !== refs) {
      this.#digested = { refs, digest: Buffer.from(hashOf(encode(refs))).toString('hex') };
    }
    return this.#digested.digest;
  }

  /** Not while some of them may not be stored yet. */
  give(): Promise<{ readonly refs: Uint8Array; readonly unpin: () => void }> {
    const { history, index, whenIdle } = this.#options;
    return whenIdle(() => {
      const { refs } = history;
      const unpins = Array.from(new Set(refs.refs.flatMap(rootsOf)), (root) => index.pin(root));
      const unpin = (): void => {
        for (const one of unpins) one();
      };
      return Promise.resolve({ refs: encode(refs), unpin });
    });
  }

  statesOf(leaves: readonly LeafName[], maxBytes: number): (Uint8Array | undefined)[] {
    const states: (Uint8Array | undefined)[] = [];
    let bytes = 0;
    for (const { key, leaf } of leaves) {
      if (states.length > 0 && bytes >= maxBytes) break;
      const state = this.#states.encodedOf(key, leaf);
      states.push(state);
      bytes += state?.length ?? 0;
    }
    return states;
  }

  /**
   * What is compared with must be in the tree that is stored: what is replaced after that is kept, as a version has it.
   */
  async take(encoded: Uint8Array): Promise<RefTakeover> {
    const { index, whenIdle, commit, history } = this.#options;
    const theirs = decode(encoded, index.pages.digestLength * 2);
    return whenIdle(async () => {
      await commit();
      const { root } = index;
      const unpin = index.pin(root);
      const { pages, put, end } = index.beginTakeover();
      return {
        ...{ pages, put, roots: this.#rootsOf(theirs, history, root) },
        save: (leaves) => whenIdle(() => this.#save(leaves)),
        keep: (leaves, states) => whenIdle(() => this.#keep(leaves, states)),
        finish: () => whenIdle(() => this.#finish(theirs)),
        end: () => {
          unpin();
          end();
        },
      };
    });
  }

  /** Those that are news here: the base of a branch first, as the branch is like it; a branch that moved is like it was. */
  #rootsOf(theirs: RefSet, history: VersionHistory, present: PageHash): { root: PageHash; like: PageHash }[] {
    const known = new Map(history.refs.refs.map((ref) => [keyOfDot(ref.dot), ref]));
    const here = history.roots().add(present);
    const roots: { root: PageHash; like: PageHash }[] = [];
    const want = (root: PageHash, like: PageHash): void => {
      if (here.has(root)) return;
      roots.push({ root, like });
      here.add(root);
    };
    for (const ref of mergeRefs(history.refs, theirs).refs) {
      if (known.has(keyOfDot(ref.dot))) continue;
      const former = formerOf(ref, history.refs)?.root;
      if (ref.kind === 'branch') want(ref.base, former ?? present);
      want(ref.root, former ?? (ref.kind === 'branch' ? ref.base : present));
    }
    return roots;
  }

  async #save(leaves: readonly LeafName[]): Promise<LeafName[]> {
    const { location, index } = this.#options;
    const missing: LeafName[] = [];
    const operations: WriteOperation[] = [];
    for (const [i, { key, leaf }] of leaves.entries()) {
      if (i % leavesAtOnce === leavesAtOnce - 1) await index.savePages(operations.splice(0));
      const { kind, digest } = decodeLeaf(leaf);
      if (kind === 'tombstone' || this.#states.keptOf(leaf) !== undefined) continue;
      const present = this.#states.encodedOf(key, leaf);
      if (present === undefined) missing.push({ key, leaf });
      else operations.push({ type: 'put', key: keptKey(location, digest), value: present });
    }
    await index.savePages(operations);
    return missing;
  }

  #keep(leaves: readonly LeafName[], states: readonly Uint8Array[]): Promise<void> {
    const { location, index } = this.#options;
    const operations = leaves.map(({ key, leaf }, i): WriteOperation => {
      const { digest } = decodeLeaf(leaf);
      const value = states[i];
      if (value === undefined || Buffer.compare(digestOf(value), digest) !== 0) {
        throw oaasError('DataLoss', 'a peer sent a state that is not what its leaf says', {
          remedy: 'Check that replica: its copy of the data is damaged.',
          details: { key },
        });
      }
      return { type: 'put', key: keptKey(location, digest), value: Buffer.from(value) };
    });
    return index.savePages(operations);
  }

  async #finish(theirs: RefSet): Promise<void> {
    const { history, index, observe, clockOperation, onTaken } = this.#options;
    // What is named here from now on is named later than all that is known.
    const dots = [...theirs.seen, ...theirs.refs.map(({ dot }) => dot)];
    if (!dots.every((dot) => observe(stampOf(dot)))) {
      throw oaasError('Unavailable', 'a label or branch of another replica is stamped too far in the future', {
        remedy: 'Set the clocks of the members right; until then such labels and branches are not taken over.',
      });
    }
    const former = this.digest;
    history.merge(theirs);
    if (this.digest === former) return;
    await index.saveHistory([clockOperation()]);
    onTaken();
  }
}

/** The one that the new one comes after, as far as it is known here. */
function formerOf({ kind, name }: Ref, { refs }: RefSet): Ref | undefined {
  return refs.findLast((ref) => ref.kind === kind && ref.name === name);
}

function stampOf({ ms, counter, member }: RefSet['seen'][number]): Stamp {
  return { ms, counter, member };
}

function encode(refs: RefSet): Uint8Array {
  return Buffer.from(JSON.stringify(refsToJson(refs)));
}

/** `rootLength`: characters of a root. `DataLoss` for bytes that are none. */
function decode(bytes: Uint8Array, rootLength: number): RefSet {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    json = undefined;
  }
  const refs = refsFromJson(json);
  if (refs.refs.every((ref) => rootsOf(ref).every(({ length }) => length === rootLength))) return refs;
  throw oaasError('DataLoss', 'a label or branch of another replica names no root');
}
