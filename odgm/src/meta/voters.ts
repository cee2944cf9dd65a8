/** A member, as the choice of voters of the meta group sees it. */
export interface Candidate {
  readonly number: number;
  /** Was replaced, or has been down for too long. */
  readonly isGone: boolean;
  /** Is drained, and down soon. */
  readonly isLeaving: boolean;
  /** Of any shard but the meta group's. One that leaves is not to be stopped before it holds none. */
  readonly holdsReplicas: boolean;
  readonly isUp: boolean;
  /** Has about all of the log. */
  readonly hasCaughtUp: boolean;
}

export interface VoterChoice {
  /** Voters that there are to be: odd. */
  readonly count: number;
  /** The leader, which chooses. */
  readonly self: number;
  /** Those of now. */
  readonly voters: readonly number[];
  readonly members: readonly Candidate[];
}

/**
 * Who should vote in the meta group: those who do, as long as they are up; others take the place of those that have
 * been down for too long, or that leave. An even number bears no more losses than the odd one below it, and there are
 * more to lose (of two voters: either), so while another member catches up the group grows from odd to odd.
 */
export function wantedVoters({ count, self, voters, members }: VoterChoice): number[] {
  const known = new Map(members.map((member) => [member.number, member]));
  const isThere = (number: number): boolean => known.get(number)?.isGone === false;
  const isLeaving = (number: number): boolean => known.get(number)?.isLeaving === true;
  // A leader that leaves hands over first: it goes when another one leads.
  const staying = voters.filter((number) => isThere(number) && (!isLeaving(number) || number === self));
  const coming = members.filter((one) => one.isUp && !one.isLeaving && !staying.includes(one.number));
  const candidates = coming
    .filter(({ hasCaughtUp }) => hasCaughtUp)
    .map(({ number }) => number)
    .sort((a, b) => a - b);
  // Superfluous ones go from the end, but never the leader.
  const ordered = [...staying.filter((number) => number === self), ...staying.filter((number) => number !== self)];
  // Where one is enough, there are two until the other one leads.
  const most = isLeaving(self) ? Math.max(2, count) : count;
  const wanted = [...ordered, ...candidates].slice(0, most);
  const foreseen = Math.min(most, staying.length + coming.length);
  const isGrowing = wanted.length > voters.length;
  if (isGrowing && wanted.length % 2 === 0 && wanted.length < foreseen) wanted.pop();
  if (wanted.every(isLeaving)) return [...voters];
  if (wanted.length >= Math.min(count, voters.length)) return wanted;
  return fill(
    wanted,
    voters.filter((number) => !staying.includes(number)).map((number) => ({ number, ...known.get(number) })),
    voters.length,
  );
}

/**
 * Voters whose place nobody can take stay. Of those that leave and hold nothing more, one at most, so that the number is
 * odd: they may be stopped at any time, all at once, and the others must have a majority without them.
 */
function fill(
  wanted: readonly number[],
  rest: readonly (Partial<Candidate> & { readonly number: number })[],
  count: number,
): number[] {
  const of = (isSo: (one: Partial<Candidate>) => boolean): number[] => rest.filter(isSo).map(({ number }) => number);
  const gone = of(({ isGone }) => isGone !== false);
  const busy = of(({ isGone, holdsReplicas }) => isGone === false && holdsReplicas === true);
  const idle = of(({ isGone, holdsReplicas }) => isGone === false && holdsReplicas !== true);
  if (idle.length === 0) return [...wanted, ...busy, ...gone].slice(0, count);
  const kept = [...wanted, ...busy];
  return kept.length % 2 === 1 ? kept : [...kept, ...idle].slice(0, kept.length + 1);
}
