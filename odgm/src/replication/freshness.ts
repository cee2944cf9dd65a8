/** What a replica knows of its voters' configuration: one half, or two while it is joint. */
interface Voters {
  readonly voters: readonly number[];
  readonly votersOutgoing: readonly number[];
}

/**
 * Since when a replica may lack what was committed. A follower had all at the time of the last heartbeat of its leader
 * by which it has applied by now all that the leader told to be committed then. A leader had all at the last time by
 * which a quorum had answered it: no other one can have been elected before.
 */
export class Freshness {
  #hadAllAt: number | undefined;
  /** It has all as of `at` once it has applied `index`. */
  #told: { readonly at: number; readonly term: number; readonly index: number } | undefined;
  #term = 0;
  /** Of a leader, in this term. */
  readonly #answeredAt = new Map<number, number>();

  /** The leader of `term` told that nothing after `index` was committed yet. */
  heard(now: number, term: number, index: number, applied: number): void {
    this.#settle(applied);
    // The end of a log that another leader has cut off since may never be reached.
    if (this.#told?.term !== term) this.#told = undefined;
    this.#told ??= { at: now, term, index };
    this.#settle(applied);
  }

  /** This follower lacks nothing now: it rested with its leader until this moment. */
  rested(now: number): void {
    this.#hadAllAt = now;
  }

  /** A member answered this leader. */
  answered(now: number, term: number, member: number): void {
    if (term !== this.#term) this.#answeredAt.clear();
    this.#term = term;
    this.#answeredAt.set(member, now);
  }

  /** Milliseconds since this follower had all; undefined: not known since it runs. */
  ofFollower(now: number, applied: number): number | undefined {
    this.#settle(applied);
    return this.#hadAllAt === undefined ? undefined : now - this.#hadAllAt;
  }

  /** Milliseconds since a quorum had answered this leader; undefined: none has in this term. */
  ofLeader(now: number, term: number, self: number, { voters, votersOutgoing }: Voters): number | undefined {
    const halves = [voters, votersOutgoing].map((ids) => this.#quorumAt(now, term, self, ids));
    if (halves.includes(undefined)) return undefined;
    return now - Math.min(...(halves as number[]));
  }

  #settle(applied: number): void {
    if (this.#told === undefined || applied < this.#told.index) return;
    this.#hadAllAt = this.#told.at;
    this.#told = undefined;
  }

  #quorumAt(now: number, term: number, self: number, ids: readonly number[]): number | undefined {
    if (ids.length === 0) return now;
    const times = ids.map((id) => {
      if (id === self) return now;
      return (term === this.#term ? this.#answeredAt.get(id) : undefined) ?? Number.NEGATIVE_INFINITY;
    });
    times.sort((a, b) => b - a);
    const at = times[Math.floor(ids.length / 2)] ?? Number.NEGATIVE_INFINITY;
    return at === Number.NEGATIVE_INFINITY ? undefined : at;
  }
}
