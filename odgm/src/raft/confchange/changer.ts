import { Inflights, isJoint, Progress, type Configuration } from '../tracker/index.ts';
import { ConfChangeType, type ConfChangeSingle } from '../types.ts';

/** A configuration and the progress of each of its members. */
export interface Membership {
  readonly config: Configuration;
  readonly members: ReadonlyMap<number, Progress>;
}

/** What a member that is added starts with. */
export interface NewMember {
  /** Last index of the log: where probing begins. */
  readonly lastIndex: number;
  readonly maxInflightMsgs: number;
  readonly maxInflightBytes: number;
}

/** The changed membership, or why the change is not possible. What was passed in is never changed. */
export type ChangeResult = (Membership & { readonly ok: true }) | { readonly ok: false; readonly reason: string };

/** Changes at most one voter, and any number of learners, in one step. */
export function simpleChange(
  before: Membership,
  changes: readonly ConfChangeSingle[],
  newMember: NewMember,
): ChangeResult {
  if (isJoint(before.config)) return refused("can't apply simple config change in joint config");
  const draft = new Draft(before, newMember);
  const failure = draft.apply(changes);
  if (failure !== undefined) return refused(failure);
  if (countDifferent(before.config.voters, draft.voters) > 1) {
    return refused('more than one voter changed without entering joint config');
  }
  return draft.result();
}

/** Changes anything; until the joint configuration is left, the old voters and the new ones must both agree to all. */
export function enterJoint(
  before: Membership,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
  newMember: NewMember,
): ChangeResult {
  if (isJoint(before.config)) return refused('config is already joint');
  if (before.config.voters.length === 0) return refused("can't make a zero-voter config joint");
  const draft = new Draft(before, newMember);
  draft.votersOutgoing = new Set(draft.voters);
  const failure = draft.apply(changes);
  if (failure !== undefined) return refused(failure);
  draft.autoLeave = autoLeave;
  return draft.result();
}

/** Ends a joint configuration: outgoing voters go, or become the learners that they were meant to be. */
export function leaveJoint(before: Membership, newMember: NewMember): ChangeResult {
  if (!isJoint(before.config)) return refused("can't leave a non-joint config");
  const draft = new Draft(before, newMember);
  for (const id of draft.learnersNext) {
    draft.learners.add(id);
    const progress = draft.members.get(id);
    if (progress !== undefined) progress.learner = true;
  }
  draft.learnersNext.clear();
  for (const id of draft.votersOutgoing) {
    if (!draft.voters.has(id) && !draft.learners.has(id)) draft.members.delete(id);
  }
  draft.votersOutgoing.clear();
  draft.autoLeave = false;
  return draft.result();
}

function refused(reason: string): ChangeResult {
  return { ok: false, reason };
}

function countDifferent(before: readonly number[], after: ReadonlySet<number>): number {
  const kept = before.filter((id) => after.has(id)).length;
  return before.length - kept + (after.size - kept);
}

const ascending = (ids: ReadonlySet<number>): number[] => [...ids].sort((a, b) => a - b);

/** A copy of a membership that is being changed. */
class Draft {
  readonly voters: Set<number>;
  readonly learners: Set<number>;
  votersOutgoing: Set<number>;
  readonly learnersNext: Set<number>;
  autoLeave: boolean;
  readonly members = new Map<number, Progress>();
  readonly #newMember: NewMember;

  constructor({ config, members }: Membership, newMember: NewMember) {
    this.voters = new Set(config.voters);
    this.learners = new Set(config.learners);
    this.votersOutgoing = new Set(config.votersOutgoing);
    this.learnersNext = new Set(config.learnersNext);
    this.autoLeave = config.autoLeave;
    for (const [id, progress] of members) this.members.set(id, progress.copy());
    this.#newMember = newMember;
  }

  /** Undefined, or why not. */
  apply(changes: readonly ConfChangeSingle[]): string | undefined {
    for (const { type, nodeId } of changes) {
      if (nodeId === 0) continue;
      switch (type) {
        case ConfChangeType.ConfChangeAddNode:
          this.#makeVoter(nodeId);
          break;
        case ConfChangeType.ConfChangeAddLearnerNode:
          this.#makeLearner(nodeId);
          break;
        case ConfChangeType.ConfChangeRemoveNode:
          this.#remove(nodeId);
          break;
        case ConfChangeType.ConfChangeUpdateNode:
          break;
        default:
          return `unexpected conf type ${String(type)}`;
      }
    }
    return this.voters.size === 0 ? 'removed all voters' : undefined;
  }

  result(): ChangeResult {
    const failure = this.#violation();
    if (failure !== undefined) return refused(failure);
    const config: Configuration = {
      voters: ascending(this.voters),
      learners: ascending(this.learners),
      votersOutgoing: ascending(this.votersOutgoing),
      learnersNext: ascending(this.learnersNext),
      autoLeave: this.autoLeave,
    };
    return { ok: true, config, members: this.members };
  }

  #makeVoter(id: number): void {
    const progress = this.members.get(id);
    if (progress === undefined) {
      this.#add(id, false);
      return;
    }
    progress.learner = false;
    this.learners.delete(id);
    this.learnersNext.delete(id);
    this.voters.add(id);
  }

  #makeLearner(id: number): void {
    const progress = this.members.get(id);
    if (progress === undefined) {
      this.#add(id, true);
      return;
    }
    if (progress.learner) return;
    this.#remove(id);
    this.members.set(id, progress);
    if (this.votersOutgoing.has(id)) {
      // Still a voter of the outgoing half, and nobody is voter and learner at once: it becomes a learner when the half goes.
      this.learnersNext.add(id);
      return;
    }
    progress.learner = true;
    this.learners.add(id);
  }

  #remove(id: number): void {
    this.voters.delete(id);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    if (!this.votersOutgoing.has(id)) this.members.delete(id);
  }

  #add(id: number, learner: boolean): void {
    const { lastIndex, maxInflightMsgs, maxInflightBytes } = this.#newMember;
    (learner ? this.learners : this.voters).add(id);
    const progress = new Progress(
      id,
      Math.max(lastIndex, 1),
      learner,
      new Inflights(maxInflightMsgs, maxInflightBytes),
    );
    // Else a check of the quorum could depose the leader before the new member had a chance to say anything.
    progress.recentActive = true;
    this.members.set(id, progress);
  }

  /** What no membership may be; only a defect, or a damaged snapshot, leads here. */
  #violation(): string | undefined {
    for (const ids of [this.voters, this.votersOutgoing, this.learners, this.learnersNext]) {
      for (const id of ids) if (!this.members.has(id)) return `no progress for ${id}`;
    }
    for (const id of this.learnersNext) {
      if (!this.votersOutgoing.has(id)) return `${id} is in LearnersNext, but not Voters[1]`;
      if (this.members.get(id)?.learner === true) {
        return `${id} is in LearnersNext, but is already marked as learner`;
      }
    }
    for (const id of this.learners) {
      if (this.votersOutgoing.has(id)) return `${id} is in Learners and Voters[1]`;
      if (this.voters.has(id)) return `${id} is in Learners and Voters[0]`;
      if (this.members.get(id)?.learner === false) return `${id} is in Learners, but is not marked as learner`;
    }
    if (this.votersOutgoing.size === 0) {
      if (this.learnersNext.size > 0) return 'cfg.LearnersNext must be nil when not joint';
      if (this.autoLeave) return 'AutoLeave must be false when not joint';
    }
    return undefined;
  }
}
