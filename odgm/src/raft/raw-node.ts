import type { RaftConfig } from './config.ts';
import type {
  BasicStatus,
  ConfChange,
  ConfChangeV2,
  ConfState,
  Message,
  ProgressView,
  Ready,
  Role,
  Status,
  StepOutcome,
} from './types.ts';

/** One member of one group. Synchronous and without time of its own: the host ticks it, delivers messages, and does what `ready` says. */
export declare class RawNode {
  constructor(config: RaftConfig);
  readonly id: number;
  readonly term: number;
  readonly role: Role;
  /** The leader that this node knows, or 0. */
  readonly lead: number;
  readonly commit: number;
  readonly applied: number;
  readonly firstIndex: number;
  /**
   * Last index of the log, stable or not. On a leader, proposals taken by one `propose` get the indexes from `lastIndex + 1` (before the call)
   * on, in the present term: an entry applied at that index with that term is the proposal, one with another term means that it was lost.
   */
  readonly lastIndex: number;
  /** One step of logical time. */
  tick(): void;
  /** Stands for election now. */
  campaign(): StepOutcome;
  /** Proposes all of `datas` as consecutive entries, all or none. On a follower they are sent on to the leader. */
  propose(datas: readonly Uint8Array[]): StepOutcome;
  proposeConfChange(change: ConfChange | ConfChangeV2): StepOutcome;
  /** To be called when a configuration entry is applied (see `confChangeOf`); the result belongs into snapshots. */
  applyConfChange(change: ConfChange | ConfChangeV2): ConfState;
  /** Takes a message of another node or of a local thread. The message and all in it belong to the core from now on. */
  step(message: Message): StepOutcome;
  hasReady(): boolean;
  /** What the host has to do now. Hands it out: the same work does not come again. */
  ready(): Ready;
  /** The work of the last `ready` is done. Not with async storage writes. */
  advance(): void;
  /** Asks for a read state that carries `context`. May be lost without notice when leadership moves: ask again. */
  readIndex(context: Uint8Array): void;
  transferLeader(transferee: number): void;
  /** A follower that has reason to believe its leader dead: it may vote for another at once. No effect with lease-based reads. */
  forgetLeader(): void;
  /** The last message to this member may be lost. */
  reportUnreachable(id: number): void;
  /** How the transfer of a `MsgSnap` to this member ended. Must be called for every `MsgSnap`. */
  reportSnapshot(id: number, succeeded: boolean): void;
  basicStatus(): BasicStatus;
  status(): Status;
  /** What this leader knows of one member; undefined for others, and on nodes that do not lead. */
  progress(id: number): ProgressView | undefined;
}
