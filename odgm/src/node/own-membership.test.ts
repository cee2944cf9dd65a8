import { oaasError } from '@oaas/commons/errors';
import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';

import { expect, it } from 'vitest';
import type { Mesh, MeshPeer } from '../mesh/index.ts';
import { createMetaState, type MemberRecord, type MetaGroup } from '../meta/index.ts';
import { createMemoryEngine } from '../storage/memory.ts';
import { saveIdentity } from './identity.ts';
import { OwnMembership } from './own-membership.ts';

it.each([
  { what: 'has no leader for a while', lost: { leader: 0 } },
  { what: 'has no vote and hears nothing from the leader that it knew', lost: { staleMs: 10_000 } },
])(
  'a running node that $what asks who the members are: one that it never heard of may lead by then',
  async ({ lost }) => {
    const time = simulatedTime();
    const stop = new AbortController();
    const storage = createMemoryEngine();
    await saveIdentity(storage, { incarnation: 'i', nodeId: 'n3', clusterUid: 'u', member: 3 });
    const state = createMetaState();
    for (const [number, id] of ['n1', 'n2', 'n3'].entries()) {
      const record: Partial<MemberRecord> = { number: number + 1, id, address: `${id}:1`, state: 'up' };
      state.members.set(number + 1, record as MemberRecord);
    }
    const meta = { state, leader: 1, staleMs: 0, catchUp: () => Promise.resolve() };
    let peers: readonly MeshPeer[] = [];
    // What it lacks comes once it talks to the member that joined meanwhile, which leads.
    meta.catchUp = () => {
      if (peers.some(({ number }) => number === 4)) Object.assign(meta, { leader: 4, staleMs: 0 });
      const isLed = meta.leader !== 0 && meta.staleMs === 0;
      return isLed ? Promise.resolve() : Promise.reject(oaasError('NoLeader', 'nobody leads'));
    };
    const asked: string[] = [];
    const joined = {
      clusterUid: 'u',
      member: 3,
      members: [{ number: 4, id: 'n2', address: 'n2:1', admin: '', zone: '' }],
    };
    const membership = new OwnMembership({
      ...{ clusterId: 'c', self: { id: 'n3', address: 'n3:1' }, signal: stop.signal },
      ...{ clock: time.clock, timers: time.timers, random: seededRandom(1) },
      logger: createLogger({ service: 'test', level: 'silent' }),
      seeds: { find: () => Promise.resolve([]), quorum: 1, expected: 1 },
      joinPort: {
        identify: () => Promise.reject(new Error('is not asked')),
        join: (address) => {
          asked.push(address);
          return Promise.resolve(joined);
        },
      },
    });
    await membership.open(storage);
    let timesCurrent = 0;
    const mesh = { setPeers: (given: readonly MeshPeer[]) => (peers = given) };
    const following = membership.follow(meta as Partial<MetaGroup> as MetaGroup, mesh as Partial<Mesh> as Mesh, () => {
      timesCurrent += 1;
      peers = membership.peersOf(state);
    });
    await time.advance(60_000);
    expect({ timesCurrent, asked }).toEqual({ timesCurrent: 1, asked: [] });

    Object.assign(meta, lost);
    await time.advance(20_000);
    expect(new Set(asked)).toEqual(new Set(['n1:1', 'n2:1']));
    expect({ timesCurrent, leader: meta.leader }).toEqual({ timesCurrent: 2, leader: 4 });
    // What was told is needed no more: the state says it, once it has come.
    expect(peers.map(({ number }) => number)).toEqual([1, 2]);
    stop.abort();
    await following;
  },
);
