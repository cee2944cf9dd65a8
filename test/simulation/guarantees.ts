/** What a run finds broken, by the words with which its failure tells of it. */
const signs = {
  // Of the paper, by the checker that looks at every step.
  'election safety': /raft guarantee broken: election safety/,
  'leader append-only': /raft guarantee broken: leader append-only/,
  'log matching': /raft guarantee broken: log matching/,
  'leader completeness': /raft guarantee broken: leader completeness/,
  'state-machine safety': /raft guarantee broken: state-machine safety/,
  'monotonic state': /raft guarantee broken: monotonic state/,
  // What clients may rely on.
  linearizability: /not linearizable/,
  'nothing acknowledged is lost': / is lost$/,
  'what is deleted stays away': / is back$/,
  progress: /no progress within|no agreement within|not at rest within|does not come to its end/,
  'what was acknowledged is told': /a trigger was not told/,
  // Of replicas.
  'equal states': /has another state than member/,
  convergence: /do not end alike|are not alike after reaping|see different objects|counters differ/,
  'tombstones are reaped': /tombstones are not reaped/,
  'replicas that are wanted stay': /which the committed meta state wants|, which has a vote:/,
  'as many voters as wanted': /^(seed .*: )?shard \d+ of \d+ voters lost /,
  'nothing is left behind': /, which nobody owns/,
  // What the program itself refuses to go on with.
  'an assertion of the core': /^(seed .*: )?(group \d+ of n\d+ failed: )?raft: /,
  'undamaged storage': /cannot be used at byte|has a gap|do not fit each other|is damaged|is missing/,
} as const;

export type Guarantee = keyof typeof signs;

/** A program that broke by a mistake of its own has shown nothing about what it promises. */
const mistakes = ['TypeError', 'ReferenceError', 'RangeError', 'SyntaxError'];

/** What a failed run has found broken; undefined: nothing that was promised, the run or the program in it broke. */
export function brokenBy(failure: unknown): Guarantee | undefined {
  for (let error = failure; error instanceof Error; error = error.cause) {
    if (mistakes.includes(error.name)) return undefined;
  }
  if (!(failure instanceof Error) || failure.name !== 'PlayFailure') return undefined;
  for (let error: unknown = failure.cause; error instanceof Error; error = error.cause) {
    const { message } = error;
    const found = (Object.keys(signs) as Guarantee[]).find((name) => signs[name].test(message));
    if (found !== undefined) return found;
  }
  return undefined;
}
