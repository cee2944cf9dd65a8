import { oaasError } from '@oaas/commons/errors';
import type { WaitingBytes } from '../../replication/index.ts';
import type { ExpiringEntry, Mutation, MutationResult } from '../model.ts';

type Reject = (error: unknown) => void;

/** A client's mutation, or states that another replica sent; to be answered once it is stored. */
export type CommitItem =
  | {
      readonly kind: 'mutation';
      readonly mutation: Mutation;
      readonly bytes: number;
      readonly resolve: (result: MutationResult) => void;
      readonly reject: Reject;
    }
  | {
      readonly kind: 'states';
      readonly states: Uint8Array;
      readonly isFormer: boolean;
      readonly resolve: (isWhole: boolean) => void;
      readonly reject: Reject;
    };
type Item = CommitItem | { readonly kind: 'task'; readonly run: () => Promise<void>; readonly reject: Reject };

/** Mutations of one commit, and bytes of mutations and states in it. */
const maxGroup = 512;
const maxGroupBytes = 8 * 1024 * 1024;
/** Mutations that wait, and their bytes; more are refused. One is always taken. */
const maxWaiting = 8192;
const maxMutationBytes = 64 * 1024 * 1024;
/** States of other replicas that wait; more are refused, and come again. */
const maxStateBytes = 32 * 1024 * 1024;
/** What a mutation takes beside its values, about. */
const mutationOverhead = 512;

/** What waits, or is being stored, on the whole node. */
export interface NodeWaiting {
  readonly mutations: WaitingBytes;
  /** States of other replicas. */
  readonly states: WaitingBytes;
}

/**
 * What a merging replica has to do, in the order in which it came: mutations and states in groups that are committed
 * together, tasks one by one, and nothing else meanwhile. Bounded for the shard and for the node: what finds no room is
 * refused with `ResourceExhausted`.
 */
export class CommitQueue {
  readonly #commit: (group: readonly CommitItem[]) => Promise<void>;
  readonly #node: NodeWaiting;
  #items: Item[] = [];
  #waiting = 0;
  #stateBytes = 0;
  #mutationBytes = 0;
  #working: Promise<void> | undefined;

  /** `commit` answers each item of a group, and never rejects. */
  constructor(commit: (group: readonly CommitItem[]) => Promise<void>, node: NodeWaiting) {
    this.#commit = commit;
    this.#node = node;
  }

  /** What has to be done before it is idle; undefined while it is. */
  get working(): Promise<void> | undefined {
    return this.#working;
  }

  mutate(mutation: Mutation): Promise<MutationResult> {
    const bytes = sizeOf(mutation);
    if (this.#waiting >= maxWaiting) return Promise.reject(tooMuch('writes'));
    const isTooMuch = this.#waiting > 0 && this.#mutationBytes + bytes > maxMutationBytes;
    if (isTooMuch) return Promise.reject(tooMuch('bytes of writes'));
    if (!this.#node.mutations.take(bytes)) return Promise.reject(tooMuchForNode('bytes of writes'));
    return this.#enqueue(mutation, bytes);
  }

  /** Entries that are to be taken away always find room: the shard asks for some when those before are done. */
  expire(entries: readonly ExpiringEntry[]): Promise<MutationResult> {
    return this.#enqueue({ type: 'expire', entries }, 0);
  }

  /** See {@link EventualReplica.merge}. */
  merge(states: Uint8Array, isFormer: boolean): Promise<boolean> {
    if (this.#stateBytes + states.length > maxStateBytes) return Promise.reject(tooMuch('states of other replicas'));
    if (!this.#node.states.take(states.length)) {
      return Promise.reject(tooMuchForNode('bytes of states of other replicas'));
    }
    this.#stateBytes += states.length;
    return new Promise((resolve, reject) => {
      this.#push({ kind: 'states', states, isFormer, resolve, reject });
    });
  }

  /** Runs something when all that was accepted before is done, and nothing else meanwhile. */
  whenIdle<T>(run: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#push({ kind: 'task', run: async () => resolve(await run()), reject });
    });
  }

  #enqueue(mutation: Mutation, bytes: number): Promise<MutationResult> {
    this.#waiting += 1;
    this.#mutationBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#push({ kind: 'mutation', mutation, bytes, resolve, reject });
    });
  }

  #push(item: Item): void {
    this.#items.push(item);
    this.#working ??= this.#work();
  }

  async #work(): Promise<void> {
    // Lets everything that arrives in this turn of the event loop join the first group.
    await Promise.resolve();
    try {
      for (;;) {
        const first = this.#items[0];
        if (first === undefined) break;
        if (first.kind === 'task') {
          this.#items.shift();
          await first.run().catch(first.reject);
        } else {
          const group = this.#takeGroup();
          await this.#commit(group);
          this.#release(group);
        }
      }
    } finally {
      this.#working = undefined;
    }
  }

  #takeGroup(): CommitItem[] {
    const group: CommitItem[] = [];
    let bytes = 0;
    for (const item of this.#items) {
      if (item.kind === 'task' || group.length === maxGroup || (group.length > 0 && bytes > maxGroupBytes)) break;
      if (item.kind === 'states') {
        bytes += item.states.length;
        this.#stateBytes -= item.states.length;
      } else {
        bytes += item.bytes;
        this.#waiting -= 1;
        this.#mutationBytes -= item.bytes;
      }
      group.push(item);
    }
    this.#items.splice(0, group.length);
    return group;
  }

  #release(group: readonly CommitItem[]): void {
    for (const item of group) {
      if (item.kind === 'states') this.#node.states.release(item.states.length);
      else this.#node.mutations.release(item.bytes);
    }
  }
}

function sizeOf(mutation: Mutation): number {
  let bytes = mutationOverhead;
  if (mutation.type !== 'change') return bytes;
  for (const { data } of mutation.put.values()) bytes += data.length;
  return bytes;
}

export function tooMuch(what: string): Error {
  return oaasError('ResourceExhausted', `too many ${what} wait for this shard`, {
    remedy: 'Send slower; use more partitions.',
    retryAfterMs: 50,
  });
}

function tooMuchForNode(what: string): Error {
  return oaasError('ResourceExhausted', `too many ${what} wait for the disk of this node`, {
    remedy: 'Send slower; see whether the disk of the node keeps up.',
    retryAfterMs: 50,
  });
}
