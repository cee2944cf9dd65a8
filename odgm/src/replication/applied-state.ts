import type { SnapshotMetadata } from '../raft/index.ts';
import type { AppendBatch } from './append-queue.ts';
import { encodeRecord, type GroupRecord, type MembersRecord } from './group-record.ts';
import { Membership } from './membership.ts';

/** A received state that waits to take the place of the present one. */
export interface Install {
  readonly generation: number;
  readonly members: MembersRecord;
  /** Switches generations; to be given to the batch before the log's reset. */
  addTo(batch: AppendBatch, record: Uint8Array): void;
  /** It is in place, durably. */
  done(): void;
}

/** How far the state of a replica has come: what its record in storage says. */
export class AppliedState {
  readonly epoch: number;
  readonly membership: Membership;
  generation: number;
  /** Last entry that the state contains. */
  index: number;
  term: number;

  constructor({ epoch, generation, applied, appliedTerm, members }: GroupRecord) {
    this.epoch = epoch;
    this.generation = generation;
    this.index = applied;
    this.term = appliedTerm;
    this.membership = new Membership(members);
  }

  position(): SnapshotMetadata {
    return { index: this.index, term: this.term, confState: this.membership.confState };
  }

  record(): Buffer {
    const { epoch, generation, index: applied, term: appliedTerm, membership } = this;
    return encodeRecord({ state: 'present', epoch, generation, applied, appliedTerm }, membership.bytes);
  }

  /** Takes up a received state: all of it, and the record that says so, is written with the batch. */
  install({ index, term, confState }: SnapshotMetadata, received: Install, batch: AppendBatch): void {
    this.index = index;
    this.term = term;
    this.generation = received.generation;
    this.membership.change(confState, received.members.epochs);
    received.addTo(batch, this.record());
  }
}
