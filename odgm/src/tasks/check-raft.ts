import type { CheckVerdict } from '../meta/index.ts';

/** What one replica answered: its content at one applied index. */
export interface RaftCheckAnswer {
  readonly member: number;
  /** Applied index that was hashed. */
  readonly index: number;
  /** How it was hashed; other versions cannot be compared. */
  readonly algorithm: number;
  readonly root: string;
  /** What is stored is not what the root was kept of: the replica is damaged, whoever else is right. */
  readonly isDamaged?: boolean | undefined;
}

export interface RaftCheckOutcome {
  readonly verdict: Extract<CheckVerdict, 'consistent' | 'inconsistent' | 'indeterminate'>;
  /** Members that differ from the majority, or are damaged; empty when nobody can say who is right. */
  readonly minority: readonly number[];
  /** Inconsistent, and no content has a majority of the voters, or nobody has it undamaged: nobody can say who is right. */
  readonly hasNoMajority: boolean;
  readonly reason: string;
}

/**
 * Compares replicas of a raft shard. Only answers of one applied index and one algorithm are comparable, and only when
 * all replicas gave one is the shard consistent. `learners` are compared, but do not vote on who is right. Nothing is
 * known as long as one that did not answer may decide that.
 */
export function classifyRaft(
  answers: readonly RaftCheckAnswer[],
  voters: readonly number[],
  learners: readonly number[],
): RaftCheckOutcome {
  const expected = new Set([...voters, ...learners]);
  const known = answers.filter(({ member }) => expected.has(member));
  const first = known[0];
  if (first === undefined) return indeterminate('no replica answered');
  if (known.some(({ algorithm }) => algorithm !== first.algorithm)) return indeterminate('replicas hash differently');
  if (known.some(({ index }) => index !== first.index)) return indeterminate('replicas answered at different indexes');
  const groups = groupByRoot(known);
  const damaged = known.filter(({ isDamaged }) => isDamaged === true).map(({ member }) => member);
  const missing = [...expected].filter((member) => !known.some((answer) => answer.member === member));
  if (groups.size === 1 && damaged.length === 0) {
    if (missing.length === 0) return { verdict: 'consistent', minority: [], hasNoMajority: false, reason: '' };
    return indeterminate(`no answer from ${named(missing)}`);
  }
  const votesOf = (members: readonly number[]): number => members.filter((member) => voters.includes(member)).length;
  const majority = [...groups.values()].find((members) => votesOf(members) * 2 > voters.length);
  const good = majority?.filter((member) => !damaged.includes(member)) ?? [];
  const minority = known.map(({ member }) => member).filter((member) => !good.includes(member));
  const hasNoMajority = good.length === 0;
  const contents = groups.size === 1 ? [] : [`${groups.size} different contents at index ${first.index}`];
  if (majority === undefined) contents.push('none with a majority');
  if (damaged.length > 0) contents.push(`damaged on ${named(damaged)}`);
  const most = Math.max(...[...groups.values()].map(votesOf)) + votesOf(missing);
  // Who is right may be known as soon as they answer.
  if (hasNoMajority && missing.length > 0 && most * 2 > voters.length) {
    return indeterminate([...contents, `no answer from ${named(missing)}`].join(', '));
  }
  return {
    verdict: 'inconsistent',
    minority: hasNoMajority ? [] : minority.sort((a, b) => a - b),
    hasNoMajority,
    reason: contents.join(', '),
  };
}

function named(members: readonly number[]): string {
  return `${members.length === 1 ? 'member' : 'members'} ${members.join(', ')}`;
}

function indeterminate(reason: string): RaftCheckOutcome {
  return { verdict: 'indeterminate', minority: [], hasNoMajority: false, reason };
}

function groupByRoot(answers: readonly RaftCheckAnswer[]): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const { root, member } of answers) groups.set(root, [...(groups.get(root) ?? []), member]);
  return groups;
}

/** Objects whose hash is not the same on all members, in order of ids; at most `limit`. */
export function differingObjects(hashes: ReadonlyMap<number, ReadonlyMap<string, string>>, limit: number): string[] {
  const ids = new Set<string>();
  for (const objects of hashes.values()) for (const id of objects.keys()) ids.add(id);
  const lists = [...hashes.values()];
  return [...ids]
    .filter((id) => lists.some((objects) => objects.get(id) !== lists[0]?.get(id)))
    .sort()
    .slice(0, limit);
}
