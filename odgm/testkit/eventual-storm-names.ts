import { isOaasError } from '@oaas/commons/errors';
import type { Random } from '@oaas/commons/time';
import type { EventualShard } from '../src/shard/index.ts';
import { contentOf, type EventualGrid, type EventualMember, put } from './eventual.ts';

/** More are not made: what replicas begin while they are apart must stay below the bounds. */
const maxBranches = 8;
const maxLabels = 20;

/** A label, and what its version had when it was acknowledged, as text by object. */
interface Labelled {
  readonly name: string;
  readonly root: string;
  readonly content: ReadonlyMap<string, string>;
}

/**
 * Labels and branches in a storm: any replica makes them, and changes branches that others have made. Each change of a
 * branch puts an object of its own, so that what was acknowledged can be told from what was lost.
 */
export class StormNames {
  readonly #grid: EventualGrid;
  readonly #random: Random;
  readonly #onDone: (what: string) => void;
  readonly #labels: Labelled[] = [];
  /** Objects that acknowledged changes of branches have put. */
  readonly #written: string[] = [];
  #count = 0;
  #branches = 0;

  constructor(grid: EventualGrid, onDone: (what: string) => void) {
    this.#grid = grid;
    this.#random = grid.world.randomOf('names');
    this.#onDone = onDone;
  }

  /** Labels and changes of branches that were acknowledged. */
  get acknowledged(): number {
    return this.#labels.length + this.#written.length;
  }

  /** Perhaps one of them does something. */
  step({ shard, node }: EventualMember): void {
    if (shard === undefined || this.#pick(4) > 0) return;
    const name = String((this.#count += 1));
    const branches = shard.versions.branches.map((branch) => branch.name);
    const what = this.#pick(4);
    if (what === 0 && this.#labels.length < maxLabels) {
      this.#then(`${node.id} has labelled l${name}`, shard.versions.record(`l${name}`), ({ root }) => {
        this.#labels.push({ name: `l${name}`, root, content: contentAt(shard, root) });
      });
    } else if (what === 1 && this.#branches < maxBranches) {
      this.#branches += 1;
      // Now and then two begin one of the same name.
      const branch = `b${String(this.#pick(maxBranches))}`;
      this.#then(`${node.id} has begun ${branch}`, shard.versions.createBranch(branch, 'now'));
    } else if (branches.length > 0) {
      const branch = branches[this.#pick(branches.length)] ?? '';
      const written = shard.versions.writeBranch(branch, put(`w${name}`, { k: name }));
      this.#then(`${node.id} has put w${name} on ${branch}`, written, () => this.#written.push(`w${name}`));
    }
  }

  /** Whether all replicas know the same. */
  get isSettled(): boolean {
    return new Set(this.#grid.shards.map(({ refs }) => refs?.digest)).size === 1;
  }

  /** What is wrong, when all is settled; undefined: nothing. */
  problem(): string | undefined {
    for (const shard of this.#grid.shards) {
      for (const { name, root, content } of this.#labels) {
        // Another label of the same version takes the place of the one before it.
        const found = shard.versions.versions.find((version) => version.label !== undefined && version.root === root);
        if (found?.label === undefined) return `the label ${name} is lost`;
        for (const [id, text] of content) {
          if (textAt(shard, found.label, id) !== text) return `what the label ${name} has of ${id} is lost`;
        }
      }
      const branches = shard.versions.branches.map(({ name }) => name);
      for (const id of this.#written) {
        if (!branches.some((branch) => textAt(shard, branch, id) !== undefined))
          return `the change ${id} of a branch is lost`;
      }
    }
    return undefined;
  }

  #then<T>(what: string, work: Promise<T>, done: (result: T) => void = () => undefined): void {
    work.then(
      (result) => {
        done(result);
        this.#onDone(what);
      },
      () => undefined,
    );
  }

  #pick(count: number): number {
    return Math.floor(this.#random.next() * count);
  }
}

function contentAt(shard: EventualShard, root: string): ReadonlyMap<string, string> {
  const content = new Map<string, string>();
  for (const id of contentOf(shard.reader).keys()) {
    const text = textAt(shard, root, id);
    if (text !== undefined) content.set(id, text);
  }
  return content;
}

function textAt({ versions }: EventualShard, version: string, id: string): string | undefined {
  try {
    const object = versions.object(version, id);
    return object && JSON.stringify([...object.entries].map(([key, { data }]) => [key, Buffer.from(data).toString()]));
  } catch (error) {
    if (isOaasError(error, 'DataLoss') || isOaasError(error, 'StorageCorrupt')) return `damaged: ${error.message}`;
    throw error;
  }
}
