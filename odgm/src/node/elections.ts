import type { Clock } from '@oaas/commons/time';
import { metaShard } from '../meta/index.ts';

/** Elections of this long ago still count as recent. */
const recentMs = 10 * 60_000;
/** Recent ones that are counted of one group. */
const recentMax = 32;

interface Seen {
  count: number;
  leader: number;
  term: number;
  /** Ascending, at most {@link recentMax}. */
  at: number[];
}

/** Leaders that the replicas of this node have seen come: how stable leadership is. */
export class Elections {
  readonly #clock: Clock;
  readonly #groups = new Map<number, Seen>();
  /** Since the start, those of groups that are gone among them. */
  readonly totals = { meta: 0, shard: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A replica sees this leader; 0 for none. The same one in the same term counts once. */
  observe(group: number, leader: number, term: number): void {
    if (leader === 0) return;
    const seen = this.#groups.get(group) ?? { count: 0, leader: 0, term: 0, at: [] };
    this.#groups.set(group, seen);
    if (seen.leader === leader && seen.term === term) return;
    seen.leader = leader;
    seen.term = term;
    seen.count += 1;
    this.totals[group === metaShard ? 'meta' : 'shard'] += 1;
    seen.at.push(this.#clock.monotonic());
    if (seen.at.length > recentMax) seen.at.shift();
  }

  forget(group: number): void {
    this.#groups.delete(group);
  }

  of(group: number): { readonly count: number; readonly recent: number } {
    const seen = this.#groups.get(group);
    if (seen === undefined) return { count: 0, recent: 0 };
    const since = this.#clock.monotonic() - recentMs;
    return { count: seen.count, recent: seen.at.filter((at) => at >= since).length };
  }
}
