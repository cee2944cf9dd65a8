// Cases of kind quorum: what a majority or two of them decide. Where another way to the same decision exists, it is taken too, and a
// difference is printed.
import {
  describeAcked,
  describeIndex,
  jointCommittedIndex,
  jointIds,
  type JointVoters,
  jointVoteResult,
  majorityCommittedIndex,
  majorityOf,
  majorityVoteResult,
  type VoteResult,
} from '@oaas/odgm/raft';
import { CaseError, type Directive, wholeNumber } from './reader.ts';
import type { Replay } from './replay.ts';

const resultNames: Readonly<Record<VoteResult, string>> = {
  pending: 'VotePending',
  lost: 'VoteLost',
  won: 'VoteWon',
};

interface Question {
  /** In the order in which they are listed, the second half's after the first's. */
  readonly listed: readonly number[];
  readonly voters: JointVoters;
  readonly joint: boolean;
  /** One per voter, in that order; undefined for `_`. */
  readonly indexes: readonly (number | undefined)[];
  readonly votes: readonly (boolean | undefined)[];
}

export function replayQuorum(): Replay {
  return (directive) => {
    const question = parse(directive);
    const { voters, listed } = question;
    const inputs = directive.command === 'vote' ? question.votes : question.indexes;
    const ids = jointIds(voters);
    if (ids.length !== inputs.length) {
      const shown = inputs.map((input) =>
        describeIndex(input === undefined ? 0 : typeof input === 'number' ? input : input ? 2 : 1),
      );
      const map = [...ids].sort((a, b) => a - b).map((id) => `${id}:{}`);
      return `error: mismatched input (explicit or _) for voters map[${map.join(' ')}]: [${shown.join(' ')}]`;
    }
    const distinct = [...new Set(listed)];
    switch (directive.command) {
      case 'committed': {
        const acked = new Map(distinct.map((id, at) => [id, question.indexes[at]]));
        return committed(question, (id) => acked.get(id));
      }
      case 'vote': {
        const votes = new Map<number, boolean>();
        distinct.forEach((id, at) => {
          const vote = question.votes[at];
          if (vote !== undefined) votes.set(id, vote);
        });
        return vote(question, votes);
      }
      default:
        throw new CaseError(`unknown command: ${directive.command}`);
    }
  };
}

function committed({ voters, joint }: Question, acked: (id: number) => number | undefined): string {
  if (joint) {
    const index = jointCommittedIndex(voters, acked);
    const swapped = jointCommittedIndex({ incoming: voters.outgoing, outgoing: voters.incoming }, acked);
    return `${describeAcked(jointIds(voters), acked)}${unlessSame(swapped, index, 'via symmetry')}${describeIndex(index)}`;
  }
  const { incoming } = voters;
  const index = majorityCommittedIndex(incoming, acked);
  let text = describeAcked(incoming, acked);
  text += unlessSame(byCounting(incoming, acked), index, 'via alternative computation');
  text += unlessSame(jointCommittedIndex({ incoming, outgoing: [] }, acked), index, 'via zero-joint quorum');
  text += unlessSame(jointCommittedIndex({ incoming, outgoing: incoming }, acked), index, 'via self-joint quorum');
  for (const id of incoming) {
    const own = acked(id) ?? 0;
    if (own === 0 || own >= index) continue;
    // Who is behind the decision cannot change it by being further behind.
    for (const lower of [own - 1, 0]) {
      const overlaid = majorityCommittedIndex(incoming, (voter) => (voter === id ? lower : acked(voter)));
      text += unlessSame(overlaid, index, `overlaying ${id}->${lower}`);
    }
  }
  return text + describeIndex(index);
}

function unlessSame(index: number, expected: number, by: string): string {
  return index === expected ? '' : `${describeIndex(index)} <-- ${by}\n`;
}

/** The largest acknowledged index that enough voters have reached. */
function byCounting(voters: readonly number[], acked: (id: number) => number | undefined): number {
  if (voters.length === 0) return Infinity;
  const indexes = voters.map((id) => acked(id) ?? 0);
  const reached = indexes.filter(
    (index) => indexes.filter((other) => other >= index).length >= majorityOf(voters.length),
  );
  return Math.max(0, ...reached);
}

function vote({ voters, joint }: Question, votes: ReadonlyMap<number, boolean>): string {
  if (!joint) return resultNames[majorityVoteResult(voters.incoming, votes)];
  const result = jointVoteResult(voters, votes);
  const swapped = jointVoteResult({ incoming: voters.outgoing, outgoing: voters.incoming }, votes);
  const symmetry = swapped === result ? '' : `${resultNames[swapped]} <-- via symmetry\n`;
  return symmetry + resultNames[result];
}

function parse({ args }: Directive): Question {
  const first: number[] = [];
  const second: number[] = [];
  let joint = false;
  const indexes: (number | undefined)[] = [];
  const votes: (boolean | undefined)[] = [];
  for (const { key, values } of args) {
    for (const value of values) {
      switch (key) {
        case 'cfg':
          first.push(wholeNumber(value));
          break;
        case 'cfgj':
          joint = true;
          if (value === 'zero' && values.length > 1) throw new CaseError('zero cannot be mixed with voters');
          if (value !== 'zero') second.push(wholeNumber(value));
          break;
        case 'idx':
          if (value === '0') throw new CaseError('0 cannot be used as idx');
          indexes.push(value === '_' ? undefined : wholeNumber(value));
          break;
        case 'votes':
          if (!['y', 'n', '_'].includes(value)) throw new CaseError(`unknown vote: ${value}`);
          votes.push(value === '_' ? undefined : value === 'y');
          break;
        default:
          throw new CaseError(`unknown argument: ${key}`);
      }
    }
  }
  const sorted = (ids: readonly number[]) => [...new Set(ids)].sort((a, b) => a - b);
  return {
    listed: [...first, ...second],
    voters: { incoming: sorted(first), outgoing: sorted(second) },
    joint,
    indexes,
    votes,
  };
}
