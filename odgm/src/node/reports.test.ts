import { simulatedTime } from '@oaas/commons/testkit';
import type { peer } from '@oaas/proto';
import { describe, expect, it } from 'vitest';
import type { PeerStatus } from '../mesh/index.ts';
import { createMetaState, type MemberRecord, type ShardLoad } from '../meta/index.ts';
import { Reports } from './reports.ts';

/** One other member, whose answers come when the test says so. */
function reports(own: readonly (readonly [number, ShardLoad])[] = []): {
  asked: Reports;
  answers: ((report: peer.NodeReport) => void)[];
  links: Pick<PeerStatus, 'number' | 'state'>[];
} {
  const state = createMetaState();
  for (const [number, id] of [
    [1, 'n1'],
    [2, 'n2'],
  ] as const) {
    const record: Partial<MemberRecord> = { number, id, address: `${id}:1`, state: 'up' };
    state.members.set(number, record as MemberRecord);
  }
  const answers: ((report: peer.NodeReport) => void)[] = [];
  const links: Pick<PeerStatus, 'number' | 'state'>[] = [{ number: 2, state: 'up' }];
  const asked = new Reports({
    port: { report: () => new Promise((resolve) => answers.push(resolve)) },
    clock: simulatedTime().clock,
    clusterId: 'c',
    self: { id: 'n1', address: 'n1:1' },
    ownReport: () => ({}) as peer.NodeReport,
    ownLoads: () => own,
    state: () => state,
    links: () => links as PeerStatus[],
  });
  return { asked, answers, links };
}

const saying = (version: string): peer.NodeReport => ({ version, clockMs: 0 }) as peer.NodeReport;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('reports of members', () => {
  it('are asked for once by all who want them at one time, and not again for a moment', async () => {
    const { asked, answers } = reports();
    const both = Promise.all([asked.refresh(), asked.refresh()]);
    answers[0]?.(saying('1'));
    await both;
    await asked.refresh();
    expect(answers).toHaveLength(1);
  });

  it('that are wanted anew do not come from a question that was asked before, since it may have been answered', async () => {
    const { asked, answers } = reports();
    const before = asked.refresh();
    const anew = asked.refresh(true);
    answers[0]?.(saying('old'));
    await before;
    await turn();
    expect(answers).toHaveLength(2);
    answers[1]?.(saying('new'));
    await anew;
    expect(asked.members()[1]?.report?.version).toBe('new');
  });

  it('give the loads of shards that others lead; what this node leads it knows itself, though another one says it leads it too', async () => {
    const own = { leader: 1, bytes: 7, ops: 2 };
    const { asked, answers } = reports([[10, own]]);
    const refreshed = asked.refresh();
    const shard = (shardId: number, leader: number, operationsPerSecond: number) => ({
      ...{ shardId, bytes: 5, operationsPerSecond },
      group: { leader, role: leader === 2 ? 'leader' : 'follower' },
    });
    const collections = [{ shards: [shard(11, 2, 4), shard(12, 3, 1), shard(13, 2, 0)] }];
    answers[0]?.({ ...saying('1'), collections } as unknown as peer.NodeReport);
    await refreshed;
    expect([...asked.loads()]).toEqual([
      [10, own],
      [11, { leader: 2, bytes: 5, ops: 4 }],
      [13, { leader: 2, bytes: 5, ops: 0 }],
    ]);
  });

  it('give where replicas merge the operations of all of them, but of those that do not answer any more', async () => {
    const { asked, answers, links } = reports([[10, { bytes: 7, ops: 2 }]]);
    const refreshed = asked.refresh();
    const merging = { shardId: 10, bytes: 7, group: { leader: 0, role: 'replica' }, operationsPerSecond: 5 };
    const alone = { ...merging, shardId: 11, bytes: 3 };
    answers[0]?.({ ...saying('1'), collections: [{ shards: [merging, alone] }] } as unknown as peer.NodeReport);
    await refreshed;
    expect([...asked.loads()]).toEqual([
      [10, { bytes: 7, ops: 7 }],
      [11, { bytes: 3, ops: 5 }],
    ]);
    links[0] = { number: 2, state: 'down' };
    await asked.refresh(true);
    expect(Object.fromEntries(asked.loads())).toEqual({ 10: { bytes: 7, ops: 2 }, 11: { bytes: 3, ops: 0 } });
  });
});
