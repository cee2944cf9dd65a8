import { oaasError } from '@oaas/commons/errors';
import type { Message, SnapshotMetadata } from '../raft/index.ts';
import type { HardState, LogPosition } from '../storage/index.ts';
import type { AppendBatch, AppendOwner } from './append-queue.ts';
import type { AppliedState, Install } from './applied-state.ts';
import type { GroupHost } from './group-host.ts';

const noMessages: readonly Message[] = [];

/** What a group gives to the disk beside its applied state: entries, term and vote, and received states. */
export class LogWrites<Group extends AppendOwner & { readonly group: number }> {
  readonly #host: GroupHost<Group>;
  readonly #group: Group;
  readonly #applied: AppliedState;
  /** Given to the disk last. */
  #storedTerm: number;
  #storedVote: number;
  /** A commit index that is not written yet: it travels with the next write. */
  #heldState: HardState | undefined;
  /** The last batch that this group has part in, until it is durable. */
  #inFlight: AppendBatch | undefined;
  #install: Install | undefined;
  #installBatch: AppendBatch | undefined;

  constructor(host: GroupHost<Group>, group: Group, applied: AppliedState, hardState: HardState) {
    this.#host = host;
    this.#group = group;
    this.#applied = applied;
    this.#storedTerm = hardState.term;
    this.#storedVote = hardState.vote;
  }

  /** Nothing is on its way to the disk. */
  get isIdle(): boolean {
    return this.#inFlight === undefined;
  }

  /** A received state is on its way to the disk: nothing can be read yet. */
  get isInstalling(): boolean {
    return this.#install !== undefined;
  }

  /**
   * Adds what the core wants to be stored to the batch, whose owner is told when it is durable. True when there is
   * nothing to wait for: the message's responses are due at once.
   */
  append(message: Message, batch: AppendBatch): boolean {
    const { entries, snapshot, term, vote, commit } = message;
    const responses = message.responses ?? noMessages;
    const state = term === 0 && vote === 0 && commit === 0 ? undefined : { term, vote, commit };
    const isNew = state !== undefined && (state.term !== this.#storedTerm || state.vote !== this.#storedVote);
    if (entries.length === 0 && snapshot === undefined && !isNew) {
      // A commit index alone is worth no flush; it can be found again.
      this.#heldState = state ?? this.#heldState;
      if (this.#inFlight === undefined) return true;
      this.#inFlight.addResponses(this.#group, responses);
      return false;
    }
    const hardState = state ?? this.#heldState;
    this.#heldState = undefined;
    if (hardState !== undefined) {
      this.#storedTerm = hardState.term;
      this.#storedVote = hardState.vote;
    }
    const reset = snapshot === undefined ? undefined : this.#beginInstall(snapshot.metadata, batch);
    batch.add({ group: this.#group.group, hardState, entries, reset }, this.#group, responses as Message[]);
    this.#inFlight = batch;
    return false;
  }

  /** The batch is durable. Gives the received state that is in place with it. */
  durable(batch: AppendBatch): Install | undefined {
    if (this.#inFlight === batch) this.#inFlight = undefined;
    if (batch !== this.#installBatch) return undefined;
    const install = this.#install;
    this.#install = undefined;
    this.#installBatch = undefined;
    return install;
  }

  #beginInstall(metadata: SnapshotMetadata, batch: AppendBatch): LogPosition {
    const { index, term } = metadata;
    const install = this.#host.installOf(this.#group, { index, term });
    if (install === undefined) throw oaasError('Internal', 'a snapshot is to be installed that was not received');
    this.#applied.install(metadata, install, batch);
    this.#install = install;
    this.#installBatch = batch;
    return { index, term };
  }
}
