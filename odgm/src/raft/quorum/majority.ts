/**
 * Decisions by more than half of a set of voters. Voters are sorted ids without repetition. An empty set agrees to everything, so that the
 * missing half of a configuration that is not joint has no say.
 */

/** `pending`: neither yes nor no can be told before more votes are in. */
export type VoteResult = 'pending' | 'lost' | 'won';

export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The largest index that a majority has reached, given the index of each voter (0: not heard of) in `reached[0..count)`, in any order.
 * Sorts that part of `reached` in place: for the few voters of a group this beats a copy and the built-in sort.
 */
export function reachedByMajority(reached: number[], count: number): number {
  if (count === 0) return Infinity;
  for (let i = 1; i < count; i++) {
    const index = reached[i] as number;
    let at = i - 1;
    while (at >= 0 && (reached[at] as number) > index) {
      reached[at + 1] = reached[at] as number;
      at--;
    }
    reached[at + 1] = index;
  }
  return reached[count - majorityOf(count)] as number;
}

/** The largest index that a majority of `voters` has acknowledged; `acked` of a voter that was not heard of is undefined. */
export function majorityCommittedIndex(voters: readonly number[], acked: (id: number) => number | undefined): number {
  return reachedByMajority(
    voters.map((id) => acked(id) ?? 0),
    voters.length,
  );
}

export function majorityVoteResult(voters: readonly number[], votes: ReadonlyMap<number, boolean>): VoteResult {
  if (voters.length === 0) return 'won';
  let yes = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) yes++;
  }
  const needed = majorityOf(voters.length);
  if (yes >= needed) return 'won';
  return yes + missing >= needed ? 'pending' : 'lost';
}
