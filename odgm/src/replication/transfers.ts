import { type OaasError, oaasError } from '@oaas/commons/errors';
import type { ProgressView } from '../raft/index.ts';

interface Transfer {
  readonly to: number;
  /** Group tick at which it has failed. */
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Moves of a group's leadership that are under way. */
export class LeadershipTransfers {
  #transfers: Transfer[] = [];

  get isEmpty(): boolean {
    return this.#transfers.length === 0;
  }

  add(transfer: Transfer): void {
    this.#transfers.push(transfer);
  }

  /** Rejects those that took too long. */
  tick(ticks: number): void {
    const late = this.#transfers.filter(({ deadline }) => deadline <= ticks);
    this.#transfers = this.#transfers.filter(({ deadline }) => deadline > ticks);
    for (const { to, reject } of late) reject(transferFailed(to));
  }

  /** Another member leads now: whom it was to be, or not. */
  settle(leader: number): void {
    if (this.#transfers.length === 0) return;
    const transfers = this.#transfers;
    this.#transfers = [];
    for (const { to, resolve, reject } of transfers) {
      if (to === leader) resolve();
      else reject(transferFailed(to));
    }
  }

  rejectAll(error: Error): void {
    for (const { reject } of this.#transfers.splice(0)) reject(error);
  }
}

/** Why the member cannot lead next, by what the leader knows of it; undefined when it can. */
export function whyNoSuccessor(member: number, progress: ProgressView | undefined): OaasError | undefined {
  if (progress !== undefined && !progress.learner && progress.state !== 'snapshot') return undefined;
  return oaasError('FailedPrecondition', `member ${String(member)} cannot take over the leadership`, {
    details: { member, state: progress?.state ?? 'no member', learner: progress?.learner ?? false },
  });
}

/** The voter to hand leadership to: reachable, and with the most of the log. Undefined: there is none. */
export function bestSuccessor(
  progress: readonly ProgressView[],
  host: { readonly self: number; isUp(member: number): boolean },
): number | undefined {
  let best: { id: number; match: number } | undefined;
  for (const { id, match, learner, state } of progress) {
    if (id === host.self || learner || state === 'snapshot' || !host.isUp(id)) continue;
    if (best === undefined || match > best.match) best = { id, match };
  }
  return best?.id;
}

function transferFailed(to: number): Error {
  return oaasError('Unavailable', `member ${String(to)} did not take over the leadership`, {
    retryAfterMs: 200,
    details: { member: to },
  });
}
