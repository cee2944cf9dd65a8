import { simulatedTime } from '@oaas/commons/testkit';
import type { peer } from '@oaas/proto';
import { describe, expect, it } from 'vitest';
import type { PeerStatus } from '../mesh/index.ts';
import { createMetaState, type MemberRecord } from '../meta/index.ts';
import { Reports } from './reports.ts';

/** One other member, whose answers come when the test says so. */
function reports(): { asked: Reports; answers: ((report: peer.NodeReport) => void)[] } {
  const state = createMetaState();
  const record = { number: 2, id: 'n2', address: 'n2:1', state: 'up' } as Partial<MemberRecord>;
  state.members.set(2, record as MemberRecord);
  const answers: ((report: peer.NodeReport) => void)[] = [];
  const asked = new Reports({
    port: { report: () => new Promise((resolve) => answers.push(resolve)) },
    clock: simulatedTime().clock,
    clusterId: 'c',
    self: { id: 'n1', address: 'n1:1' },
    ownReport: () => ({}) as peer.NodeReport,
    state: () => state,
    links: () => [{ number: 2, state: 'up' } as Partial<PeerStatus> as PeerStatus],
  });
  return { asked, answers };
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
    expect(asked.members()[0]?.report?.version).toBe('new');
  });
});
