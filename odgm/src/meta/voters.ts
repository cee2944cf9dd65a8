/** A member, as the choice of voters of the meta group sees it. */
export interface Candidate {
  readonly number: number;
  /** Was replaced, or has been down for too long. */
  readonly isGone: boolean;
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
 * been down for too long. An even number bears no more losses than the odd one below it, and there are more to lose (of
 * two voters: either), so while another member catches up the group grows from odd to odd.
 */
export function wantedVoters({ count, self, voters, members }: VoterChoice): number[] {
  const known = new Map(members.map((member) => [member.number, member]));
  const staying = voters.filter((number) => known.get(number)?.isGone === false);
  const coming = members.filter(({ number, isUp }) => isUp && !staying.includes(number));
  const candidates = coming
    .filter(({ hasCaughtUp }) => hasCaughtUp)
    .map(({ number }) => number)
    .sort((a, b) => a - b);
  // Superfluous ones go from the end, but never the leader.
  const ordered = [...staying.filter((number) => number === self), ...staying.filter((number) => number !== self)];
  const wanted = [...ordered, ...candidates].slice(0, count);
  const foreseen = Math.min(count, staying.length + coming.length);
  const isGrowing = wanted.length > voters.length;
  if (isGrowing && wanted.length % 2 === 0 && wanted.length < foreseen) wanted.pop();
  if (wanted.length >= Math.min(count, voters.length)) return wanted;
  // A voter that is gone stays until somebody can take its place.
  const gone = voters.filter((number) => !staying.includes(number));
  return [...wanted, ...gone].slice(0, voters.length);
}
