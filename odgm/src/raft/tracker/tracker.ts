import { jointIds, jointVoteResult, majorityVoteResult, reachedByMajority, type VoteResult } from '../quorum/index.ts';
import type { ConfState } from '../types.ts';
import type { Progress } from './progress.ts';

/** Members by role. All lists are sorted. The same facts as a {@link ConfState}, which is what the log and snapshots hold. */
export type Configuration = ConfState;

export const emptyConfiguration: Configuration = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

export function isJoint(config: Configuration): boolean {
  return config.votersOutgoing.length > 0;
}

/**
 * The active configuration and what is known of each member. Everything that is asked for on the way of a proposal is worked out once per
 * configuration: members in order, and the progress of each half's voters.
 */
export class Tracker {
  readonly maxInflightMsgs: number;
  readonly maxInflightBytes: number;
  config: Configuration = emptyConfiguration;
  /** All members, by ascending id. */
  members: readonly Progress[] = [];
  /** Voters of both halves, ascending. */
  voterIds: readonly number[] = [];
  #byId = new Map<number, Progress>();
  #incoming: readonly Progress[] = [];
  #outgoing: readonly Progress[] = [];
  #votes = new Map<number, boolean>();
  readonly #scratch: number[] = [];

  constructor(maxInflightMsgs: number, maxInflightBytes: number) {
    this.maxInflightMsgs = maxInflightMsgs;
    this.maxInflightBytes = maxInflightBytes;
  }

  /** `members` has one progress for each member of `config`. */
  switchTo(config: Configuration, members: ReadonlyMap<number, Progress>): void {
    this.config = config;
    this.members = [...members.values()].sort((a, b) => a.id - b.id);
    this.#byId = new Map(this.members.map((progress) => [progress.id, progress]));
    this.voterIds = jointIds({ incoming: config.voters, outgoing: config.votersOutgoing });
    this.#incoming = this.members.filter(({ id }) => config.voters.includes(id));
    this.#outgoing = this.members.filter(({ id }) => config.votersOutgoing.includes(id));
  }

  get(id: number): Progress | undefined {
    return this.#byId.get(id);
  }

  /** Whether this member decides alone. */
  isOnlyVoter(id: number): boolean {
    return this.#incoming.length === 1 && this.#outgoing.length === 0 && this.#incoming[0]?.id === id;
  }

  /** The largest index that the quorum has on disk. */
  committed(): number {
    const incoming = this.#reached(this.#incoming);
    return this.#outgoing.length === 0 ? incoming : Math.min(incoming, this.#reached(this.#outgoing));
  }

  /** Whether a quorum was heard from since the last check. */
  quorumActive(): boolean {
    const active = new Map<number, boolean>();
    for (const progress of this.members) {
      if (!progress.learner) active.set(progress.id, progress.recentActive);
    }
    return this.#decide(active) === 'won';
  }

  resetVotes(): void {
    if (this.#votes.size > 0) this.#votes = new Map();
  }

  /** The first vote of a member counts. */
  recordVote(id: number, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  tallyVotes(): { granted: number; rejected: number; result: VoteResult } {
    let granted = 0;
    let rejected = 0;
    for (const progress of this.members) {
      const vote = progress.learner ? undefined : this.#votes.get(progress.id);
      if (vote === true) granted++;
      if (vote === false) rejected++;
    }
    return { granted, rejected, result: this.#decide(this.#votes) };
  }

  #decide(votes: ReadonlyMap<number, boolean>): VoteResult {
    const { voters, votersOutgoing } = this.config;
    if (votersOutgoing.length === 0) return majorityVoteResult(voters, votes);
    return jointVoteResult({ incoming: voters, outgoing: votersOutgoing }, votes);
  }

  #reached(half: readonly Progress[]): number {
    const count = half.length;
    if (count === 1) return (half[0] as Progress).match;
    const scratch = this.#scratch;
    for (let i = 0; i < count; i++) scratch[i] = (half[i] as Progress).match;
    return reachedByMajority(scratch, count);
  }
}
