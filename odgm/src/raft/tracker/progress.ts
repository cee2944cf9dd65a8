import { oaasError } from '@oaas/commons/errors';
import type { ProgressState, ProgressView } from '../types.ts';
import type { Inflights } from './inflights.ts';

/** What a leader knows of one member, and how it sends to it. `match < next` always. */
export class Progress {
  readonly id: number;
  match = 0;
  next: number;
  state: ProgressState = 'probe';
  pendingSnapshot = 0;
  recentActive = false;
  /** Set when no more appends may be sent before an answer or a heartbeat's answer comes in. */
  appendPaused = false;
  learner: boolean;
  readonly inflights: Inflights;
  /** The highest commit index on its way to the member; what it surely knows may be less. */
  #sentCommit = 0;

  constructor(id: number, next: number, learner: boolean, inflights: Inflights) {
    this.id = id;
    this.next = next;
    this.learner = learner;
    this.inflights = inflights;
  }

  /** A copy for a configuration that is being worked out; the window of messages on their way stays the same one. */
  copy(): Progress {
    const copy = new Progress(this.id, this.next, this.learner, this.inflights);
    copy.match = this.match;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.appendPaused = this.appendPaused;
    copy.#sentCommit = this.#sentCommit;
    return copy;
  }

  /** Everything is forgotten: a new term begins. */
  reset(match: number, next: number): void {
    this.#enter('probe');
    this.match = match;
    this.next = next;
    this.recentActive = false;
    this.#sentCommit = 0;
  }

  get paused(): boolean {
    return this.state === 'snapshot' || this.appendPaused;
  }

  becomeProbe(): void {
    // After a snapshot that arrived, the member has everything up to it, even if it did not say so yet.
    const from = this.state === 'snapshot' ? Math.max(this.match, this.pendingSnapshot) : this.match;
    this.#enter('probe');
    this.next = from + 1;
    this.#lowerSentCommit();
  }

  becomeReplicate(): void {
    this.#enter('replicate');
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter('snapshot');
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.#sentCommit = index;
  }

  /** A message with `count` entries of `bytes` bytes from `next` on was sent. */
  sentEntries(count: number, bytes: number): void {
    switch (this.state) {
      case 'replicate':
        if (count > 0) {
          this.next += count;
          this.inflights.add(this.next - 1, bytes);
        }
        // What is sent with a full window is a probe: one at a time.
        this.appendPaused = this.inflights.full;
        return;
      case 'probe':
        if (count > 0) this.appendPaused = true;
        return;
      case 'snapshot':
        throw oaasError('Internal', 'raft: entries were sent to a member that waits for a snapshot');
    }
  }

  sentCommit(commit: number): void {
    this.#sentCommit = commit;
  }

  /** Whether telling this commit index could let the member commit more than what it was told before. */
  canBumpCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  /** The member has everything up to `index`. False if that was known. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    if (this.next <= index) this.next = index + 1;
    this.appendPaused = false;
    return true;
  }

  /**
   * The member refused an append that follows `rejected`, and may match at `hint`. False for an answer that is out of date: it is about an
   * index that has matched meanwhile, or not about the last probe.
   */
  maybeDecrease(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      if (rejected !== this.next - 1) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.appendPaused = false;
    }
    this.#lowerSentCommit();
    return true;
  }

  view(): ProgressView {
    return {
      id: this.id,
      match: this.match,
      next: this.next,
      state: this.state,
      pendingSnapshot: this.pendingSnapshot,
      recentActive: this.recentActive,
      learner: this.learner,
      paused: this.paused,
      inflightMessages: this.inflights.count,
      inflightFull: this.inflights.full,
    };
  }

  #enter(state: ProgressState): void {
    this.appendPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
  }

  #lowerSentCommit(): void {
    if (this.#sentCommit >= this.next) this.#sentCommit = this.next - 1;
  }
}
