import { oaasError } from '@oaas/commons/errors';
import type { RaftSpan } from './tracing.ts';

/** Something that was proposed and waits for its answer. */
export class Proposal {
  readonly data: Uint8Array;
  /** What the state machine gets beside `data`. */
  readonly own: unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Where the leader put it; 0 before. */
  index = 0;
  term = 0;
  /** Of the step that it is in; undefined where nobody records it. */
  span: RaftSpan | undefined = undefined;

  constructor(data: Uint8Array, own: unknown, resolve: (result: unknown) => void, reject: (error: Error) => void) {
    this.data = data;
    this.own = own;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Compacts the queue when this many at its head are gone. */
const slack = 1024;

/** Proposals of this node that are in a log and not yet applied, in the order in which they were proposed. */
export class PendingProposals {
  #queue: (Proposal | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#queue.length - this.#head;
  }

  add(proposal: Proposal, index: number, term: number): void {
    proposal.index = index;
    proposal.term = term;
    this.#queue.push(proposal);
  }

  /**
   * The proposal that became the entry which is being applied; undefined when the entry came from elsewhere. Those that
   * can no longer come are given to `lost`: an entry of a higher term shows that those of lower terms which are not
   * applied by now were replaced; entries that were skipped came with a snapshot, and nobody knows.
   */
  take(index: number, term: number, lost: (proposal: Proposal, outcome: Outcome) => void): Proposal | undefined {
    for (;;) {
      const proposal = this.#queue[this.#head];
      if (proposal === undefined || proposal.term > term) return undefined;
      if (proposal.term === term && proposal.index > index) return undefined;
      this.#drop();
      if (proposal.term === term && proposal.index === index) return proposal;
      lost(proposal, proposal.term < term && proposal.index >= index ? 'notApplied' : 'unknown');
    }
  }

  /** Empties the queue. */
  takeAll(): Proposal[] {
    const all = this.#queue.slice(this.#head) as Proposal[];
    this.#queue = [];
    this.#head = 0;
    return all;
  }

  #drop(): void {
    this.#queue[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head >= slack && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** What is known of a proposal that has no answer: that it never happened, or nothing. */
export type Outcome = 'notApplied' | 'unknown';

export function lostLeadership(outcome: Outcome, leader: number): Error {
  return oaasError(
    'Unavailable',
    outcome === 'notApplied'
      ? 'the change was given up when another leader took over'
      : 'leadership was lost before the change was confirmed; it may have happened',
    {
      retryAfterMs: 50,
      details: { outcome, leader },
      remedy:
        outcome === 'notApplied' ? 'Send it again.' : 'Read the object, and send the change again if it is not there.',
    },
  );
}

export function notLeading(leader: number): Error {
  return oaasError('NoLeader', leader === 0 ? 'the group has no leader now' : 'another member leads the group', {
    retryAfterMs: leader === 0 ? 100 : 0,
    details: { outcome: 'notApplied', leader },
  });
}
