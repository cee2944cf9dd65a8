import { createLogger } from '@oaas/commons/telemetry';
import { eventually, seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { afterEach, expect, it } from 'vitest';
import { startMember } from '../../testkit/mesh.ts';
import { ByteRate } from '../mesh/rate.ts';
import { RaftHost } from '../replication/index.ts';
import { createMemoryEngine } from '../storage/memory.ts';
import { MetaDuties, MetaGroup, MetaMachine, metaShard, type NewCommand } from './index.ts';
import { member, spec } from './testing.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** The only member of a cluster for two, with its duties. `ahead`: of its wall clock, in milliseconds. */
async function startLeader(pingMs = 50) {
  const time = simulatedTime();
  const wall = { ahead: 0 };
  const { timers } = time;
  const clock = { monotonic: () => time.clock.monotonic(), now: () => time.clock.now() + wall.ahead };
  const started = await startMember(1, { clock, timers, pingMs });
  ends.push(() => started.stop());
  const { mesh } = started;
  const engine = createMemoryEngine();
  const logger = createLogger({ service: 'test', level: 'silent' });
  const schedule = (run: () => void): void => void timers.after(0, run);
  const rate = new ByteRate({ clock, timers, bytesPerSecond: Infinity });
  const host = new RaftHost({
    ...{ engine, mesh, self: 1, clock, timers, random: seededRandom(1), logger, schedule },
    rateOf: () => rate,
  });
  ends.push(() => {
    host.abandon();
  });
  const machine: MetaMachine = new MetaMachine(engine, () => {
    later.meta?.changed();
  });
  const later: { meta?: MetaGroup } = {};
  const group = await host.create({ group: metaShard, epoch: 1, machine }, { voters: [1] });
  const meta = (later.meta = new MetaGroup({ group, machine, mesh, clock, timers }));
  const duties = new MetaDuties({
    ...{ meta, mesh, clock, timers, logger, expectedMembers: 2, settleMs: 10_000 },
    loads: () => new Map(),
  });
  ends.push(() => {
    duties.close();
  });
  const propose = async (command: NewCommand): Promise<void> => {
    const proposed = meta.propose(command);
    await time.advance(1000);
    await proposed;
  };
  await time.advance(5000);
  await propose({ type: 'bootstrap', clusterId: 'c', members: [member('grid-0')] });
  return { time, wall, mesh, meta, propose };
}

it.each([3_600_000, -3_600_000])(
  'new shards wait for the members that are expected, but no longer than ten seconds, by a clock that is off by %i ms',
  async (off) => {
    const { time, wall, meta, propose } = await startLeader();
    wall.ahead = off;
    await propose({ type: 'putCollection', spec: spec('c', { replicaCount: 1 }) });
    const places = (): number => [...meta.state.shards.values()].filter(({ replicas }) => replicas.length > 0).length;
    await time.advance(7000);
    expect(places()).toBe(1);
    await time.advance(3000);
    expect(places()).toBe(3);
  },
);

/** Members with replicas, of each shard. */
const placesIn = (meta: MetaGroup) => (): number[][] =>
  [...meta.state.shards.values()].flatMap(({ id, replicas }) =>
    id === metaShard ? [] : [replicas.map((one) => one.member)],
  );

it('new shards get no place on a member that is not heard, though it is not recorded as down yet', async () => {
  const { time, mesh, meta, propose } = await startLeader();
  const silent = member('grid-1', { address: '127.0.0.1:1' });
  mesh.setPeers([{ number: 2, id: silent.id, address: silent.address }]);
  await propose({ type: 'joinMember', clusterId: 'c', member: silent });
  await propose({ type: 'putCollection', spec: spec('c', { replicaCount: 1 }) });
  const places = placesIn(meta);
  expect([meta.state.members.get(2)?.state, places()]).toEqual(['up', [[], []]]);
  await time.advance(10_000);
  expect([meta.state.members.get(2)?.state, places()]).toEqual(['down', [[1], [1]]]);
});

it('new shards wait while a new leader has no word of a member whose link counts as up, but no longer than ten seconds', async () => {
  const { time, mesh, meta, propose } = await startLeader(3_600_000);
  const silent = await startMember(2);
  ends.push(() => silent.stop());
  silent.mesh.setPeers([{ number: 1, id: mesh.self.id, address: '127.0.0.1:1' }]);
  mesh.setPeers([silent]);
  await eventually(() => mesh.peers()[0]?.state === 'up');
  await propose({ type: 'joinMember', clusterId: 'c', member: member(silent.id, { address: silent.address }) });
  await propose({ type: 'putCollection', spec: spec('c', { replicaCount: 1 }) });
  const places = placesIn(meta);
  await time.advance(1500);
  expect([mesh.peers()[0]?.state, places()]).toEqual(['up', [[], []]]);
  await time.advance(3000);
  expect([mesh.peers()[0]?.state, places().flat().sort()]).toEqual(['up', [1, 2]]);
});
