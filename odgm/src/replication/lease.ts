import type { Tuning } from './types.ts';

/** Clocks of two nodes may differ by this share of any duration. */
const drift = 0.1;

/**
 * How long a leader may answer reads alone. A question that a quorum answered after `askedAt` shows that the quorum
 * votes for nobody else until an election timeout later (check-quorum and pre-vote make followers of a live leader
 * refuse; the host does not forget leaders under a lease). A transfer of leadership overrides that, so it ends leases of
 * the term.
 */
export interface Lease {
  isValid(term: number, now: number): boolean;
  /** Valid, but to be renewed now if it shall stay so. */
  isAging(now: number): boolean;
  extend(term: number, askedAt: number): void;
  revoke(term: number): void;
}

export function leaseOf({ electionTicks, tickMs }: Tuning): Lease {
  // A tick may come right after the heartbeat, and another is lost to rounding.
  const lengthMs = (electionTicks - 2) * tickMs * (1 - drift);
  let leaseTerm = 0;
  let from = 0;
  let revoked = 0;
  return {
    isValid: (term, now) => term === leaseTerm && term !== revoked && now < from + lengthMs,
    isAging: (now) => now >= from + lengthMs / 2,
    extend: (term, askedAt) => {
      from = term === leaseTerm ? Math.max(from, askedAt) : askedAt;
      leaseTerm = term;
    },
    revoke: (term) => {
      revoked = term;
    },
  };
}
