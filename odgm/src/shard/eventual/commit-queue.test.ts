import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { WaitingBytes } from '../../replication/index.ts';
import type { Mutation } from '../model.ts';
import { type CommitItem, CommitQueue } from './commit-queue.ts';

const mebibyte = 1024 * 1024;
const mutationOf = (bytes: number): Mutation =>
  ({ type: 'change', put: new Map([['k', { data: Buffer.alloc(bytes) }]]) }) as unknown as Mutation;

/** Queues of shards of one node, whose commits end when its disk does something again. */
function start(bounds: { readonly mutations: number; readonly states: number }) {
  const waiting = { mutations: new WaitingBytes(bounds.mutations), states: new WaitingBytes(bounds.states) };
  let resume: () => void = () => undefined;
  const disk = new Promise<void>((resolve) => (resume = resolve));
  const commit = async (group: readonly CommitItem[]): Promise<void> => {
    await disk;
    for (const item of group) {
      if (item.kind === 'states') item.resolve(true);
      else item.resolve({ type: 'changed' } as never);
    }
  };
  const queues = Array.from({ length: 8 }, () => new CommitQueue(commit, waiting));
  return { waiting, queues, resume };
}

/** Until all have released what they held. */
async function settled(queues: readonly CommitQueue[]): Promise<void> {
  for (const { working } of queues) await working;
}

const refused = (what: string): object => ({
  code: 'ResourceExhausted',
  message: `too many ${what} wait for the disk of this node`,
  retryAfterMs: 50,
});

describe('shards of a node whose disk stalls', () => {
  it('together let no more wait than the node may hold, the commits under way counted, and go on when it does', async () => {
    const { waiting, queues, resume } = start({ mutations: 20 * mebibyte, states: 1 });
    const accepted: Promise<unknown>[] = [];
    let refusals = 0;
    for (let round = 0; round < 10; round++) {
      for (const queue of queues) {
        const answer = queue.mutate(mutationOf(mebibyte)).then(
          () => 'stored',
          () => 'refused',
        );
        // The first ones are in commits by the time that the others come.
        if ((await Promise.race([answer, setImmediate('waits')])) === 'refused') refusals += 1;
        else accepted.push(answer);
      }
    }
    expect(accepted).toHaveLength(19);
    expect(refusals).toBe(61);
    expect(waiting.mutations.held).toBeLessThanOrEqual(20 * mebibyte);
    await expect(queues[7]?.mutate(mutationOf(mebibyte))).rejects.toMatchObject(refused('bytes of writes'));
    resume();
    await Promise.all(accepted);
    await settled(queues);
    expect(waiting.mutations.held).toBe(0);
    await queues[0]?.mutate(mutationOf(mebibyte));
  });

  it('refuse states of other replicas over their own bound, and still take the writes of clients', async () => {
    const { waiting, queues, resume } = start({ mutations: mebibyte, states: 2 * mebibyte });
    const [one, other] = queues;
    const first = [one?.merge(Buffer.alloc(mebibyte), false), other?.merge(Buffer.alloc(mebibyte), false)];
    await expect(one?.merge(Buffer.alloc(mebibyte), false)).rejects.toMatchObject(
      refused('bytes of states of other replicas'),
    );
    const write = one?.mutate(mutationOf(10));
    resume();
    await Promise.all([...first, write]);
    await settled(queues);
    expect([waiting.mutations.held, waiting.states.held]).toEqual([0, 0]);
  });

  it('take one that alone is over the bound, where nothing else waits', async () => {
    const { queues, resume } = start({ mutations: 10, states: 1 });
    resume();
    await expect(queues[0]?.mutate(mutationOf(mebibyte))).resolves.toBeDefined();
  });
});
