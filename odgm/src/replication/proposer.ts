import { oaasError } from '@oaas/commons/errors';
import {
  type ConfChangeSingle,
  type ConfChangeTransition,
  ConfChangeType,
  type ConfState,
  type RawNode,
} from '../raft/index.ts';
import { encodeContext } from './conf-context.ts';
import { lostLeadership, notLeading, type Outcome, PendingProposals, Proposal } from './pending-proposals.ts';
import type { RaftTracer } from './tracing.ts';
import type { MemberChange, Tuning } from './types.ts';

/** What a node sets as bounds to the proposals of its groups, and who records them. */
export interface ProposalLimits {
  readonly tuning: Tuning;
  readonly tracer: RaftTracer | undefined;
  /** Error when proposals of so many bytes cannot be taken now; else they are counted. */
  takeBytes(bytes: number): Error | undefined;
  releaseBytes(bytes: number): void;
}

export interface ProposedChange {
  readonly changes: readonly MemberChange[];
  readonly transition: ConfChangeTransition;
  /** Asked at the moment that the change goes into the log, with all changes before it applied: why it must not. */
  readonly objection?: (() => Error | undefined) | undefined;
}

/**
 * What this node proposes to one group, from the call to its answer. Proposals wait for the next pass, go into the log
 * together, and are answered when their entries are applied or when they cannot be any more.
 */
export class Proposer {
  readonly #limits: ProposalLimits;
  readonly #group: number;
  readonly #node: RawNode;
  /** In the log, and not applied yet. */
  readonly pending = new PendingProposals();
  #waiting: Proposal[] = [];
  #waitingChange: Proposal | undefined;
  /** A change whose joint configuration is still to be left. */
  #leaving: Proposal | undefined;
  /** Tick at which proposals of a former leadership are given up. */
  #giveUpAt = Infinity;

  constructor(limits: ProposalLimits, group: number, node: RawNode) {
    this.#limits = limits;
    this.#group = group;
    this.#node = node;
  }

  /** There is something for {@link submit}. */
  get hasWaiting(): boolean {
    return this.#waiting.length > 0 || this.#waitingChange !== undefined;
  }

  /** Nothing waits for an answer. */
  get isEmpty(): boolean {
    return !this.hasWaiting && this.#leaving === undefined && this.pending.size === 0;
  }

  /** Why an entry of so many bytes is not taken now. Without a reason they count from here on, until it is answered. */
  refusal(bytes: number): Error | undefined {
    if (this.#node.role !== 'leader') return notLeading(this.#node.lead);
    const { maxProposals } = this.#limits.tuning;
    if (this.#waiting.length + this.pending.size >= maxProposals) {
      return oaasError('ResourceExhausted', 'too many changes of this group wait for an answer', {
        remedy: 'Send slower; use more partitions.',
        retryAfterMs: 50,
        details: { maxProposals },
      });
    }
    return this.#limits.takeBytes(bytes);
  }

  /** As {@link refusal}, for a change of the members. */
  changeRefusal(bytes: number): Error | undefined {
    const refusal = this.refusal(bytes);
    if (refusal !== undefined) return refusal;
    if (this.#waitingChange === undefined && this.#leaving === undefined) return undefined;
    this.#limits.releaseBytes(bytes);
    return changeRefused();
  }

  /** Of an entry for which there was no {@link refusal}. */
  add(data: Uint8Array, own: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const proposal = new Proposal(data, own, resolve, reject);
      const { tracer } = this.#limits;
      if (tracer !== undefined) proposal.span = tracer.begin('propose', this.#group, this.#node.term);
      this.#waiting.push(proposal);
    });
  }

  /** Of a change for which there was no {@link changeRefusal}. */
  addChange(change: ProposedChange, context: Uint8Array): Promise<ConfState> {
    return new Promise((resolve, reject) => {
      const proposal = new Proposal(context, change, resolve as (result: unknown) => void, reject);
      proposal.span = this.#limits.tracer?.begin('membership_change', this.#group, this.#node.term);
      this.#waitingChange = proposal;
    });
  }

  /** Puts what waits into the log. */
  submit(): void {
    if (this.#waiting.length === 0 && this.#waitingChange === undefined) return;
    const node = this.#node;
    if (node.role !== 'leader') {
      this.refuseWaiting(notLeading(node.lead));
      return;
    }
    const first = node.lastIndex + 1;
    if (this.#waiting.length > 0) {
      const outcome = node.propose(this.#waiting.map(({ data }) => data));
      if (outcome !== 'ok') {
        // While leadership is being moved they wait: soon it is clear who takes them.
        if (node.basicStatus().leadTransferee === 0) this.refuseWaiting(overloaded());
        return;
      }
      const { term } = node;
      for (let i = 0; i < this.#waiting.length; i++) {
        const proposal = this.#waiting[i];
        if (proposal === undefined) continue;
        this.pending.add(proposal, first + i, term);
        if (proposal.span !== undefined) proposal.span = proposal.span.next('commit', first + i, term);
      }
      this.#waiting = [];
    }
    const change = this.#waitingChange;
    if (change !== undefined) this.#submitChange(change);
  }

  #submitChange(proposal: Proposal): void {
    const { changes, transition, objection } = proposal.own as ProposedChange;
    const refusal = objection?.();
    if (refusal !== undefined) {
      this.#waitingChange = undefined;
      this.answer(proposal, refusal);
      return;
    }
    const index = this.#node.lastIndex + 1;
    const outcome = this.#node.proposeConfChange({
      transition,
      changes: changes.map(singleChange),
      context: encodeContext(changes, proposal.data),
    });
    if (outcome !== 'ok' && this.#node.basicStatus().leadTransferee !== 0) return;
    this.#waitingChange = undefined;
    if (outcome === 'ok') this.pending.add(proposal, index, this.#node.term);
    else this.answer(proposal, overloaded());
  }

  refuseWaiting(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const proposal of waiting) this.answer(proposal, error);
    const change = this.#waitingChange;
    this.#waitingChange = undefined;
    if (change !== undefined) this.answer(change, error);
  }

  answer(proposal: Proposal, result: unknown): void {
    this.#limits.releaseBytes(proposal.data.length);
    if (proposal.span !== undefined) proposal.span.end(result instanceof Error ? result : undefined);
    if (result instanceof Error) proposal.reject(result);
    else proposal.resolve(result);
  }

  /** The core puts an empty entry in the place of a change of members that it refuses. */
  refuseChange(proposal: Proposal): void {
    this.answer(proposal, changeRefused());
  }

  /**
   * A change of the members is applied and stored. `isEntering`: it did not only leave a joint configuration. One that
   * is joint and left by itself is answered when that has happened.
   */
  changed(proposal: Proposal | undefined, confState: ConfState, isEntering: boolean): void {
    const isJoint = confState.votersOutgoing.length > 0;
    if (isJoint && confState.autoLeave && proposal !== undefined) this.#leaving = proposal;
    else if (proposal !== undefined) this.answer(proposal, confState);
    else if (!isEntering && this.#leaving !== undefined) {
      this.answer(this.#leaving, confState);
      this.#leaving = undefined;
    }
  }

  readonly lost = (proposal: Proposal, outcome: Outcome): void => {
    this.answer(proposal, lostLeadership(outcome, this.#node.lead));
  };

  /** This node leads: it knows what becomes of its proposals. */
  leads(): void {
    this.#giveUpAt = Infinity;
  }

  /** This node led and does not any more. The next leader has most of what is pending; what it commits is answered as it should be. */
  leadershipLost(giveUpAt: number): void {
    this.#giveUpAt = giveUpAt;
    this.refuseWaiting(notLeading(this.#node.lead));
  }

  tick(ticks: number): void {
    if (ticks >= this.#giveUpAt) this.giveUp();
  }

  /** Nobody knows what became of what is still pending. */
  giveUp(): void {
    this.#giveUpAt = Infinity;
    for (const proposal of this.pending.takeAll()) this.lost(proposal, 'unknown');
    if (this.#leaving !== undefined) this.lost(this.#leaving, 'unknown');
    this.#leaving = undefined;
  }
}

function singleChange({ type, member }: MemberChange): ConfChangeSingle {
  const types = {
    voter: ConfChangeType.ConfChangeAddNode,
    learner: ConfChangeType.ConfChangeAddLearnerNode,
    remove: ConfChangeType.ConfChangeRemoveNode,
  } as const;
  return { type: types[type], nodeId: member };
}

function changeRefused(): Error {
  return oaasError('FailedPrecondition', 'another change of the members is under way, or it is not possible now', {
    retryAfterMs: 100,
    remedy: 'Wait until the change is done, look at the members, and propose what is still needed.',
  });
}

function overloaded(): Error {
  return oaasError('ResourceExhausted', 'the group has too many bytes that are not committed yet', {
    retryAfterMs: 100,
    remedy: 'Send slower; see whether a majority of the replicas keeps up.',
  });
}
