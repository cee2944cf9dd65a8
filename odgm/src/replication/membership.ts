import { type ConfState, type Message, MessageType } from '../raft/index.ts';
import { encodeMembers, type MembersRecord } from './group-record.ts';

/** The members of a group as far as is applied here, and which replica of each of them is the one that counts. */
export class Membership {
  #record: MembersRecord;
  #bytes: Buffer;
  #everyone: readonly number[];
  /** Highest epoch heard of or told of each member's replica. */
  #epochs: Map<number, number> | undefined;

  constructor(record: MembersRecord) {
    this.#record = record;
    this.#bytes = encodeMembers(record);
    this.#everyone = everyoneOf(record.confState);
    if (record.epochs.size > 0) this.#epochs = new Map(record.epochs);
  }

  get confState(): ConfState {
    return this.#record.confState;
  }

  /** Epochs of replicas that are not 1, of the configuration that is applied; members that are gone may be among them. */
  get replicaEpochs(): ReadonlyMap<number, number> {
    return this.#record.epochs;
  }

  /** As the group's record holds it. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** All member numbers, in any role. */
  get everyone(): readonly number[] {
    return this.#everyone;
  }

  /** Empty in a replica that waits to be filled by a snapshot. */
  get isEmpty(): boolean {
    return this.#everyone.length === 0;
  }

  get isJoint(): boolean {
    return this.#record.confState.votersOutgoing.length > 0;
  }

  /** There is one voter: it is its own quorum. */
  get isSingle(): boolean {
    const { voters, votersOutgoing } = this.#record.confState;
    return voters.length === 1 && votersOutgoing.length === 0;
  }

  /** Has no vote, neither before nor after the change that may be under way. */
  isLearner(member: number): boolean {
    const { voters, votersOutgoing } = this.#record.confState;
    return !voters.includes(member) && !votersOutgoing.includes(member);
  }

  has(member: number): boolean {
    return this.#everyone.includes(member);
  }

  change(confState: ConfState, epochs: ReadonlyMap<number, number>): void {
    const known = new Map(this.#record.epochs);
    for (const [member, epoch] of epochs) {
      if (epoch > (known.get(member) ?? 1)) known.set(member, epoch);
      this.#raiseEpoch(member, epoch);
    }
    this.#record = { confState, epochs: known };
    this.#bytes = encodeMembers(this.#record);
    this.#everyone = everyoneOf(confState);
  }

  /** Epoch of the member's replica as far as is known here. */
  epochOf(member: number): number {
    return this.#epochs?.get(member) ?? 1;
  }

  /** Epoch of the replica that the message is for. */
  addressee({ type, to }: Message): number {
    return isVote(type) ? this.#votingEpochOf(to) : this.epochOf(to);
  }

  /**
   * Whether a message may be taken that one replica (`fromEpoch`) has sent to this member's replica `toEpoch`. `epoch`
   * and `term` are those of the replica that is here. Notes an epoch that was not heard of before, and takes the commit
   * index out of a heartbeat that names what an earlier replica had.
   */
  admits(from: number, fromEpoch: number, epoch: number, toEpoch: number, term: number, message: Message): boolean {
    const { type } = message;
    if (toEpoch > epoch) return false;
    // Word for an earlier replica of this member: it speaks of another log. What that one has promised with a vote, or to
    // whom, this one does not know.
    if (toEpoch < epoch && (isResponse(type) || isVote(type))) return false;
    // A voter that was made anew has nothing of what it had when it got its vote. That there is a later term counts.
    if (isResponse(type) && fromEpoch !== this.#votingEpochOf(from) && message.term <= term) return false;
    // A leader that did not hear of a removal names what an earlier replica had. It gets an answer, to know better.
    const isOfEarlier = toEpoch < epoch || this.isEmpty;
    if (isOfEarlier && type === MessageType.MsgHeartbeat) message.commit = 0;
    return this.#hear(from, fromEpoch);
  }

  /** Of the replica that the configuration means, as far as it is applied here. The member may have a later one by now. */
  #votingEpochOf(member: number): number {
    return this.#record.epochs.get(member) ?? 1;
  }

  /** Notes an epoch that was heard of. False for one before the latest: that replica is gone. */
  #hear(member: number, epoch: number): boolean {
    const known = this.epochOf(member);
    if (epoch > known) this.#raiseEpoch(member, epoch);
    return epoch >= known;
  }

  #raiseEpoch(member: number, epoch: number): void {
    if (epoch <= this.epochOf(member)) return;
    this.#epochs ??= new Map();
    this.#epochs.set(member, epoch);
  }
}

function everyoneOf({ voters, learners, votersOutgoing, learnersNext }: ConfState): readonly number[] {
  return [...new Set([...voters, ...learners, ...votersOutgoing, ...learnersNext])];
}

export function isVote(type: Message['type']): boolean {
  return type === MessageType.MsgVote || type === MessageType.MsgPreVote;
}

function isResponse(type: Message['type']): boolean {
  return (
    type === MessageType.MsgAppResp ||
    type === MessageType.MsgVoteResp ||
    type === MessageType.MsgPreVoteResp ||
    type === MessageType.MsgHeartbeatResp ||
    type === MessageType.MsgReadIndexResp
  );
}
