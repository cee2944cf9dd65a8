import { makeMessage, type Message, MessageType, type RawNode } from '../raft/index.ts';
import type { GroupHost } from './group-host.ts';
import type { Membership } from './membership.ts';

/** Whether a group takes part in ticks. One with nothing to do rests: no ticks, no heartbeats, until something happens. */
export class Quiescence<Group> {
  readonly #host: GroupHost<Group>;
  readonly #group: Group;
  #idleTicks = 0;
  #isQuiet = false;
  #isStopped = false;

  constructor(host: GroupHost<Group>, group: Group) {
    this.#host = host;
    this.#group = group;
  }

  get isQuiet(): boolean {
    return this.#isQuiet;
  }

  /** One that is to be filled by a snapshot has nothing to do until it comes. */
  start(waitsForSnapshot: boolean): void {
    if (waitsForSnapshot) this.#isQuiet = true;
    else this.#host.setTicking(this.#group, true);
  }

  /** True when there was nothing to do for so long that the group may rest. */
  tick(): boolean {
    this.#idleTicks += 1;
    return this.#idleTicks > this.#host.tuning.quietAfterTicks;
  }

  /** There is work. */
  touch(): void {
    this.#idleTicks = 0;
    this.wake();
  }

  /** Ends the rest. */
  wake(): void {
    if (!this.#isQuiet || this.#isStopped) return;
    this.#isQuiet = false;
    this.#idleTicks = 0;
    this.#host.setTicking(this.#group, true);
  }

  rest(): void {
    if (this.#isQuiet) return;
    this.#isQuiet = true;
    this.#host.setTicking(this.#group, false);
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true;
    this.#isQuiet = true;
    this.#host.setTicking(this.#group, false);
  }
}

/**
 * Whom a leader has to tell that it goes quiet: all who can be reached, when each of them has the whole log and they
 * are a majority. Undefined: not now.
 */
export function quorumThatHasAll(
  node: RawNode,
  { confState, everyone, isJoint }: Membership,
  host: { readonly self: number; isUp(member: number): boolean },
): readonly number[] | undefined {
  if (isJoint) return undefined;
  const { self } = host;
  const reachable: number[] = [];
  for (const member of everyone) {
    // One whose node is down is left out: it is woken up for when its link comes back.
    if (member === self || !host.isUp(member)) continue;
    const progress = node.progress(member);
    if (progress?.match !== node.lastIndex || progress.state !== 'replicate') return undefined;
    // Whoever rests hears nobody: it would say for as long that this one is silent, and a move would wait for it.
    if (!progress.recentActive) return undefined;
    reachable.push(member);
  }
  const { voters } = confState;
  const live = voters.filter((voter) => voter === self || reachable.includes(voter)).length;
  return live * 2 <= voters.length ? undefined : reachable;
}

/** A follower sees what the leader saw when it went quiet. */
export function agreesWithLeader(node: RawNode, from: number, { term, commit, index }: Message): boolean {
  if (node.role !== 'follower' || node.lead !== from || node.term !== term) return false;
  return node.lastIndex === index && node.commit === commit;
}

/** What a leader says when it rests: a follower that does not see the same disagrees. */
export function restNotice(node: RawNode, member: number): Message {
  const message = makeMessage(MessageType.MsgHeartbeat, member, node.id, node.term);
  message.index = node.lastIndex;
  message.commit = node.commit;
  return message;
}
