import type { Message, RaftLogger } from '../raft/index.ts';
import type { Engine, LogPosition } from '../storage/index.ts';
import type { Install } from './applied-state.ts';
import type { ProposalLimits } from './proposer.ts';

/** What a group, and its parts on its behalf, need of the host. */
export interface GroupHost<Group> extends ProposalLimits {
  readonly self: number;
  readonly engine: Engine;
  readonly coreLogger: RaftLogger;
  random(): number;
  now(): number;
  /** The group has work: it is driven in the next pass. */
  wake(group: Group): void;
  /** The group takes part in ticks, or no longer does. */
  setTicking(group: Group, isTicking: boolean): void;
  /** Calls the group's `release` after a short while. */
  hold(group: Group): void;
  send(group: Group, to: number, toEpoch: number, quiet: boolean, message: Message): void;
  /** The follower needs a snapshot. The host answers with `reportSnapshot`. */
  sendSnapshot(group: Group, message: Message): void;
  /** Oldest index that a snapshot on its way needs; Infinity for none. */
  neededBySnapshots(group: Group): number;
  isUp(member: number): boolean;
  /** The process before this one may have told a leader less than an election timeout ago that it follows it. */
  mayHavePromised(): boolean;
  /** What is to be written with the snapshot that was received; undefined when there is none for this position. */
  installOf(group: Group, position: LogPosition): Install | undefined;
  /** A state that is to take the place of the group's present one is being received, or waits to be resumed. */
  isReceiving(group: Group): boolean;
  onLeader(group: Group): void;
  onMembers(group: Group, context: Uint8Array): void;
  onFailed(group: Group, error: Error): void;
}
