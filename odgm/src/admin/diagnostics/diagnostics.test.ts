import type { peer } from '@oaas/proto';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  apply,
  type CheckRecord,
  type Command,
  createMetaState,
  type MetaState,
  type NewCommand,
} from '../../meta/index.ts';
import type { MemberView } from '../../node/index.ts';
import type { PlannedTask } from '../../tasks/index.ts';
import { diagnose, type DiagnosticsInput, flatDiagnostics } from './index.ts';

let state: MetaState;
let now: number;

function run(command: NewCommand): number {
  const result = apply(state, { known: true, version: 1, command: { ...command, at: now } as Command });
  expect(result).toMatchObject({ ok: true });
  return result.ok ? (result.id ?? 0) : 0;
}

beforeEach(() => {
  state = createMetaState();
  now = 1_000_000;
  const member = (id: string) => ({ id, address: '', admin: '', zone: '', incarnation: '1', commandVersion: 1 });
  run({ type: 'bootstrap', clusterId: 'c', members: ['a', 'b', 'c'].map(member) });
  const invocations = { fnRoutes: {}, disabledFn: [] };
  const names = { name: 'c', classIds: [], options: {}, invocations };
  const spec = { ...names, partitionCount: 2, replicaCount: 3, shardType: 'raft', durability: 'persistent' } as const;
  run({ type: 'putCollection', spec });
  run({ type: 'assignShards', assignments: [1, 2].map((shard) => ({ shard, replicas: [1, 2, 3] })) });
  for (const shard of [1, 2]) run({ type: 'recordCheck', check: check({ shard, partition: shard - 1 }) });
});

const check = (rest: Partial<CheckRecord>): CheckRecord => ({
  ...{ shard: 1, collection: 'c', partition: 0, at: now, task: 1, mode: 'fast', verdict: 'consistent' },
  ...{ replicas: [], minority: [], differing: [], reason: '' },
  ...rest,
});

const group = (rest: Partial<peer.GroupReport> = {}): peer.GroupReport => ({
  ...{ role: 'follower', leader: 1, term: 3, commit: 50, applied: 50, voters: [1, 2, 3], learners: [], progress: [] },
  ...{ elections: 1, recentElections: 1 },
  ...rest,
});

const shardReport = (shardId: number, rest: Partial<peer.ShardReport> = {}): peer.ShardReport => ({
  operationsPerSecond: 0,
  ...{
    shardId,
    partition: shardId - 1,
    objects: 5,
    entries: 5,
    bytes: 500,
    state: 'ready',
    reason: '',
    group: group(),
  },
  ...rest,
});

const eventReport = (rest: Partial<peer.EventReport> = {}): peer.EventReport => ({
  ...{ fires: true, waiting: 0, oldestMs: 0, deadLetters: 0, dropped: 0, inFlight: 0, failing: [] },
  ...rest,
});

function report(number: number, rest: Partial<peer.NodeReport> = {}): peer.NodeReport {
  return {
    ...{ clusterId: 'c', nodeId: 'abc'[number - 1] ?? '', version: '1', uptimeSeconds: 5000, memoryBytes: 100 },
    ...{
      ready: true,
      draining: false,
      member: number,
      meta: group(),
      links: [1, 2, 3].filter((one) => one !== number),
    },
    collections: [
      {
        ...{ name: 'c', partitionCount: 2, reason: '', shards: [shardReport(1), shardReport(2)] },
        performanceStats: { readsPerSecond: 10, writesPerSecond: 5, readP99Ms: 1, writeP99Ms: 2 },
      },
    ],
    resources: {
      ...{ cpuPercent: 20, eventLoopDelayMs: 2, memoryLimitBytes: 1000, storageBytes: 0, journalBytes: 0 },
      ...{ unflushedBytes: 0, diskFreeBytes: 800, diskTotalBytes: 1000, functionCalls: 0, storageRefusal: '' },
    },
    storageProblems: [],
    lostLinks: [],
    clockMs: 0,
    events: eventReport(),
    ...rest,
  };
}

function view(number: number, rest: Partial<MemberView> = {}, of: Partial<peer.NodeReport> = {}): MemberView {
  const record = state.members.get(number);
  if (record === undefined) throw new Error('no such member');
  return { record, state: 'up', lastSeen: now, report: report(number, of), ...rest };
}

function input(rest: Partial<DiagnosticsInput> = {}): DiagnosticsInput {
  const members = [1, 2, 3].map((number) => view(number));
  return { now, state, members, metaLeader: 1, suggestions: [], rebalance: undefined, unplaced: [], ...rest };
}

const codes = (findings: readonly { readonly code: string }[]): string[] => findings.map(({ code }) => code);

describe('a grid that is well', () => {
  it('has one finding in each area, that says what it was made from', () => {
    const { cluster, shards, events, performance, resources } = diagnose(input());
    const all = [...Object.values(cluster), ...Object.values(shards), performance, resources, events];
    expect(all.map(codes)).toEqual([
      ['consensus.ok'],
      ['network.ok'],
      ['leadership.ok'],
      ['member.ok'],
      ['balance.ok'],
      ['replication.ok'],
      ['migration.none'],
      ['consistency.ok'],
      ['performance.ok'],
      ['resources.ok'],
      ['events.ok'],
    ]);
    for (const finding of all.flat()) {
      expect(finding.severity).toBe('info');
      expect(finding.evidence).not.toBe('');
    }
  });

  it('is the same on the wire, with the area of each finding', () => {
    const flat = flatDiagnostics(diagnose(input()), 'now');
    expect(flat.cluster.map(({ area, code }) => [area, code])).toContainEqual(['network_partitions', 'network.ok']);
    expect(flat.shards).toHaveLength(4);
    expect(flat.takenAt).toBe('now');
  });
});

describe('triggers', () => {
  const found = (rest: Partial<peer.EventReport>) =>
    diagnose(input({ members: [view(1), view(2), view(3, {}, { events: eventReport(rest) })] })).events;

  it.each([
    ['are delivered', { waiting: 5, oldestMs: 900 }, 'info', 'events.ok', 'c: 5 wait'],
    ['are late', { waiting: 5, oldestMs: 61_000 }, 'warning', 'events.late', 'the oldest for 61 s'],
    ['are off', { fires: false, waiting: 2, oldestMs: 99_000 }, 'info', 'events.off', '2 that were set off before'],
    ['could not be delivered', { deadLetters: 3 }, 'warning', 'events.dead-letters', '3 dead letters'],
    ['were lost', { dropped: 7 }, 'error', 'events.dropped', '7 since'],
    [
      'fail',
      { failing: [{ target: 'p.Class.f', failures: 4, forMs: 9000, error: 'it is down' }] },
      'warning',
      'events.failing',
      '4 in a row on c, for 9 s: it is down',
    ],
  ])('that %s', (_what, rest, severity, code, evidence) => {
    const said = expect.stringContaining(evidence) as string;
    expect(found(rest as Partial<peer.EventReport>)).toMatchObject([{ severity, code, evidence: said }]);
  });
});

describe('the cluster', () => {
  it('that has lost its majority says so, and which shards have no leader', () => {
    const down = { state: 'down', report: undefined, lastSeen: now - 9000, problem: 'no link' } as const;
    const alone = view(
      1,
      {},
      {
        collections: [{ ...report(1).collections[0]!, shards: [shardReport(1, { group: group({ leader: 0 }) })] }],
        links: [],
      },
    );
    const { cluster, shards } = diagnose(input({ members: [alone, view(2, down), view(3, down)], metaLeader: 0 }));
    expect(codes(cluster.consensusHealth)).toEqual(['consensus.no-quorum', 'consensus.shards-without-leader']);
    expect(cluster.consensusHealth[1]).toMatchObject({
      ...{ severity: 'error', evidence: 'c/0, c/1' },
      remedy: 'Bring members with their replicas back; a majority of the replicas of each must answer.',
    });
    expect(cluster.memberHealth[0]).toMatchObject({
      code: 'member.down',
      message: 'b is down',
      evidence: 'last heard from 9 s ago; no link; heard by nobody who answers',
    });
    // One that nobody hears is no second finding of the network.
    expect(codes(cluster.networkPartitions)).toEqual(['network.ok']);
    expect(codes(shards.replicationHealth)).toEqual(['replication.no-majority', 'replication.no-majority']);
  });

  it('bids nobody bring members back for a shard without a leader whose disks are gone', () => {
    const led = report(1).collections[0]!;
    const without = led.shards.map((shard) => ({ ...shard, group: group({ leader: 0 }) }));
    const none = { collections: [{ ...led, shards: without }] };
    const remedy = () => {
      const { cluster } = diagnose(input({ members: [view(1, {}, none), view(2, {}, none), view(3, {}, none)] }));
      return cluster.consensusHealth.find(({ code }) => code === 'consensus.shards-without-leader')?.remedy;
    };
    const lose = (shard: number) => {
      for (const member of [2, 3])
        run({ type: 'setAlarm', alarm: { shard, member, kind: 'lost-replica', since: now, evidence: '' } });
    };
    expect(remedy()).toMatch(/^Bring members with their replicas back; [^.]*\.$/);
    lose(2);
    expect(remedy()).toMatch(/^Bring members .* The disks of c\/1 are gone: replication\.lost says what to do\.$/);
    lose(1);
    expect(remedy()).toBe('The disks of c/0, c/1 are gone: replication.lost says what to do.');
  });

  it('tells a member that was drained and is down from one that is missed, and how to take it off the list', () => {
    const gone = view(3, { state: 'down', report: undefined, lastSeen: now - 9000 });
    const found = () => diagnose(input({ members: [view(1), view(2), gone] })).cluster.memberHealth[0];
    expect(found()).toMatchObject({ severity: 'error', code: 'member.down' });
    for (const shard of state.shards.values()) shard.replicas = shard.replicas.filter(({ member }) => member !== 3);
    const remedy = expect.stringContaining('DELETE /admin/members/c') as string;
    expect(found()).toMatchObject({ severity: 'warning', code: 'member.down', remedy });
    state.members.get(3)!.drains = true;
    gone.record.drains = true;
    expect(found()).toMatchObject({ severity: 'info', code: 'member.drained', remedy });
    const silent = { ...gone, state: 'suspect' } as const;
    const others = [view(1, {}, { links: [2] }), view(2, {}, { links: [1] })];
    expect(diagnose(input({ members: [...others, silent] })).cluster.memberHealth[0]).toMatchObject({
      ...{ severity: 'info', message: 'c was drained and does not answer' },
    });
  });

  it('without a leader, or with a member that is far behind, says so', () => {
    const behind = view(3, {}, { meta: group({ applied: 50, commit: 50 }) });
    const ahead = [1, 2].map((number) => view(number, {}, { meta: group({ commit: 5000, applied: 5000 }) }));
    const { cluster } = diagnose(input({ metaLeader: 0, members: [...ahead, behind] }));
    expect(codes(cluster.consensusHealth)).toEqual(['consensus.no-leader', 'consensus.member-behind']);
  });

  it('tells a network that is split from a link that is missing, and from one that only one end knows', () => {
    const linked = (links: readonly number[][]) =>
      diagnose(input({ members: links.map((own, i) => view(i + 1, {}, { links: own })) })).cluster.networkPartitions;
    expect(linked([[2], [1], []])).toMatchObject([
      { severity: 'error', code: 'network.split', evidence: '[a, b] and [c]' },
    ]);
    expect(linked([[2, 3], [1], [1]])).toMatchObject([{ severity: 'warning', code: 'network.no-link' }]);
    expect(linked([[2, 3], [1], [1, 2]])).toMatchObject([
      { code: 'network.one-sided', evidence: 'c has a link to b, which does not know' },
    ]);
  });

  it('names a member that does not answer, with who last heard it: whether it is down or cut off cannot be told', () => {
    const lost = (agoMs: number) => ({ lostLinks: [{ member: 3, agoMs }] });
    const silent = view(3, { state: 'suspect', lastSeen: now - 90_000, problem: 'no answer' });
    const found = (a: Partial<peer.NodeReport> = {}, b: Partial<peer.NodeReport> = {}) => {
      const members = [view(1, {}, { links: [2], ...a }), view(2, {}, { links: [1], ...b }), silent];
      const { networkPartitions, memberHealth } = diagnose(input({ members })).cluster;
      return [...networkPartitions, ...memberHealth];
    };
    const message = 'c does not answer: down or cut off, which cannot be told';
    const here = 'last heard from 90 s ago; no answer; heard by nobody who answers';
    expect(found(lost(60_000), lost(20_000))).toMatchObject([
      { code: 'network.ok' },
      { severity: 'warning', code: 'member.suspect', message, evidence: `${here}, last by b 20 s ago` },
    ]);
    // Members of a build that does not tell.
    expect(found()[1]).toMatchObject({ code: 'member.suspect', evidence: here });
  });

  it('names a member that is cut off from some, and heard by others', () => {
    const cut = view(3, { state: 'suspect', problem: 'no answer' });
    const members = [view(1, {}, { links: [2] }), view(2, {}, { links: [1, 3] }), cut];
    const { networkPartitions, memberHealth } = diagnose(input({ members })).cluster;
    expect([...networkPartitions, ...memberHealth]).toMatchObject([
      {
        ...{ severity: 'warning', code: 'network.cut-off', message: 'c does not answer here, though others hear it' },
        evidence: 'heard by b, not by a; last heard from 0 s ago; no answer',
      },
      { code: 'member.ok', message: 'all members are up' },
    ]);
    const down = [...members.slice(0, 2), view(3, { ...cut, state: 'down' })];
    const { cluster } = diagnose(input({ members: down }));
    expect([...cluster.networkPartitions, ...cluster.memberHealth]).toMatchObject([
      { code: 'network.ok' },
      {
        ...{ severity: 'error', code: 'member.down' },
        evidence: 'last heard from 0 s ago; no answer; heard by b, not by a',
        remedy: expect.stringContaining('Look at the network between') as string,
      },
    ]);
  });

  it('names groups whose leaders do not stay', () => {
    const restless = shardReport(2, { group: group({ recentElections: 9 }) });
    const one = view(
      1,
      {},
      {
        meta: group({ recentElections: 4 }),
        collections: [{ ...report(1).collections[0]!, shards: [shardReport(1), restless] }],
      },
    );
    const { leaderStability } = diagnose(input({ members: [one, view(2), view(3)] })).cluster;
    expect(leaderStability).toMatchObject([
      { code: 'leadership.meta-unstable', evidence: '4 elections in the last 10 minutes' },
      { code: 'leadership.shards-unstable', evidence: 'elections in the last 10 minutes: c/1: 9' },
    ]);
  });

  it('shows members that are not well, were restarted, or have damaged data of their own', () => {
    const members = [
      view(
        1,
        {},
        {
          ...{ uptimeSeconds: 30, links: [3] },
          storageProblems: [{ at: 1, message: 'the record of a group is damaged' }],
        },
      ),
      view(2, { state: 'suspect', problem: 'the link broke' }),
      view(3, {}, { ready: false, version: '2', links: [1] }),
    ];
    expect(codes(diagnose(input({ members })).cluster.memberHealth)).toEqual([
      'member.storage-damaged',
      'member.suspect',
      'member.not-ready',
      'member.restarted',
      'member.versions-differ',
    ]);
  });
});

describe('clocks', () => {
  const clocksOf = (...ahead: readonly [number, number][]) =>
    diagnose(
      input({ members: ahead.map(([aheadMs, withinMs], i) => view(i + 1, { clock: { aheadMs, withinMs } })) }),
    ).cluster.memberHealth.map(({ severity, code, message }) => [severity, code, message]);

  it('that differ are told by how much they are not as most are, also when it is that of the node that is asked', () => {
    expect(clocksOf([0, 0], [6000, 2], [300, 2])).toEqual([['error', 'member.clock', 'the clock of b is ahead']]);
    expect(clocksOf([0, 0], [-2000, 2], [-2100, 2])).toEqual([['warning', 'member.clock', 'the clock of a is ahead']]);
    expect(clocksOf([0, 0], [0, 1], [-700, 2])).toEqual([['warning', 'member.clock', 'the clock of c is behind']]);
  });

  it('are not judged by an answer that took too long to tell', () => {
    expect(clocksOf([0, 0], [700, 400], [0, 1])).toEqual([['info', 'member.ok', 'all members are up']]);
  });
});

describe('the shards', () => {
  it('show what is suggested, and the planner’s reasons for what cannot move', () => {
    const blocked = [{ shard: 1, collection: 'c', partition: 0, why: 'zone', reason: 'no-member-to-move-to' }] as const;
    const rebalance: PlannedTask = {
      ...{ wish: { kind: 'rebalance', collection: '' }, moves: [], bytesTotal: 0, before: 0.5, after: 0.5 },
      ...{ topologyEpoch: 1, reason: 'capacity', blocked },
    };
    const wish = {
      kind: 'rebalance',
      collection: '',
      mode: 'suggest',
      actor: 'system',
      options: {},
      why: 'the balance is 0.50',
    } as const;
    const { distributionBalance } = diagnose(input({ rebalance, suggestions: [wish] })).shards;
    expect(codes(distributionBalance)).toEqual(['balance.suggested', 'balance.blocked']);
    expect(distributionBalance[1]).toMatchObject({
      evidence: 'zone: no-member-to-move-to',
      remedy: expect.stringContaining('Add members') as string,
    });
    const [uneven] = diagnose(input({ rebalance: { ...rebalance, blocked: [] } })).shards.distributionBalance;
    expect(uneven).toMatchObject({ code: 'balance.uneven', evidence: expect.stringContaining('capacity') as string });
  });

  it('show once a member whose replicas take no writes, with why', () => {
    const refusing = (shard: number) => shardReport(shard, { state: 'degraded', reason: 'the clock was set back' });
    const members = [
      view(1, {}, { collections: [{ ...report(1).collections[0]!, shards: [refusing(1), refusing(2)] }] }),
      view(2),
      view(3),
    ];
    expect(diagnose(input({ members })).shards.replicationHealth).toMatchObject([
      {
        ...{ code: 'replication.refuses-writes', severity: 'warning', evidence: 'the clock was set back' },
        message: 'a takes no writes for 2 of its replicas; others do',
      },
    ]);
  });

  it('show replicas that merge and do not come to have the same', () => {
    const progress = [
      { member: 2, match: 0, state: 'behind', active: true, lag: 7, staleMs: 600_000 },
      { member: 3, match: 0, state: 'synced', active: true, lag: 0, staleMs: 1000 },
    ];
    const merging = shardReport(1, { group: group({ role: 'replica', progress }) });
    const members = [
      view(1, {}, { collections: [{ ...report(1).collections[0]!, shards: [merging, shardReport(2)] }] }),
      view(2),
      view(3),
    ];
    const found = diagnose(input({ members })).shards.replicationHealth.filter(
      ({ code }) => code === 'replication.behind',
    );
    expect(found).toMatchObject([{ evidence: 'behind, the same 600 s ago, 7 entries to send' }]);
  });

  it('that lost their only place, or most of their disks, say that they cannot come back and what to do', () => {
    const single = { shard: 1, expectedEpoch: 1, replicas: [{ member: 2, role: 'voter' as const }] };
    run({ type: 'updateShardReplicas', ...single });
    const empty = { id: 'b', address: '', admin: '', zone: '', incarnation: '2', commandVersion: 1 };
    run({ type: 'joinMember', clusterId: 'c', member: empty });
    const down = view(2, { state: 'down', report: undefined });
    const found = () => diagnose(input({ members: [view(1), down, view(3), view(4)] })).shards.replicationHealth;
    expect(found()).toMatchObject([
      {
        ...{ severity: 'error', code: 'replication.lost' },
        message: 'c/0 cannot come back: the disks of all its replicas are gone',
        evidence: 'b came back with an empty disk; whether anything was ever written to it is not on record',
        remedy: expect.stringMatching(/^Delete .*DELETE \/admin\/collections\/c /) as string,
      },
      { code: 'replication.degraded', message: 'c/1 has 2 of 3 replicas that are well' },
    ]);
    run({ type: 'setAlarm', alarm: { shard: 2, member: 3, kind: 'lost-replica', since: now, evidence: '' } });
    expect(found()[1]).toMatchObject({
      ...{ code: 'replication.lost', message: 'c/1 cannot come back: the disks of most of its replicas are gone' },
      evidence: expect.stringMatching(/^b came back with an empty disk, c has lost its replica;/) as string,
      remedy: expect.stringMatching(/^Read what the others have/) as string,
    });
  });

  it('show replicas that are not well with the reason, and followers that are behind', () => {
    const apart = shardReport(1, { state: 'unavailable', reason: 'set apart: a value is damaged' });
    const progress = [
      { member: 1, match: 5000, state: 'leader', active: true },
      { member: 2, match: 10, state: 'replicate', active: true },
      { member: 3, match: 0, state: 'snapshot', active: true },
    ].map((one) => ({ ...one, lag: 0, staleMs: -1 }));
    const leading = shardReport(2, { group: group({ role: 'leader', progress }) });
    const members = [
      view(1, {}, { collections: [{ ...report(1).collections[0]!, shards: [shardReport(1), leading] }] }),
      view(2, {}, { collections: [{ ...report(2).collections[0]!, shards: [apart, shardReport(2)] }] }),
      view(3),
    ];
    const { replicationHealth } = diagnose(input({ members })).shards;
    expect(replicationHealth).toMatchObject([
      {
        code: 'replication.degraded',
        message: 'c/0 has 2 of 3 replicas that are well',
        evidence: 'b: set apart: a value is damaged',
      },
      { code: 'replication.lag', message: 'b is behind with c/1', evidence: 'replicate, 4990 entries behind' },
      { code: 'replication.snapshot' },
    ]);
  });

  it('show tasks under way, steps that do not get on, and what failed', () => {
    const moves = [
      { shard: 1, collection: 'c', partition: 0, kind: 'replica', from: 1, to: 2, bytes: 9, why: 'zone' },
    ] as const;
    const task = (kind: 'rebalance' | 'drain') =>
      run({
        ...{ type: 'createTask', kind, collection: '', actor: 'x', moves, options: {}, start: true, message: 'm' },
        topologyEpoch: state.cluster?.epoch ?? 0,
      });
    const [first, second] = [task('rebalance'), task('drain')];
    run({ type: 'claimTask', task: first, member: 1, term: 1 });
    run({ type: 'beginMove', task: first, move: 0, term: 1 });
    run({ type: 'claimTask', task: second, member: 1, term: 1 });
    run({ type: 'finishTask', task: second, term: 1, state: 'failed', message: 'no', findings: [] });
    now += 70_000;
    expect(codes(diagnose(input({ now })).shards.migrationStatus)).toEqual([
      'migration.slow',
      'migration.failed',
      'migration.running',
    ]);
  });

  it('show alarms, and what the last check of each shard found', () => {
    run({ type: 'setAlarm', alarm: { shard: 1, member: 2, kind: 'corrupt-replica', since: now, evidence: 'root x' } });
    run({ type: 'setAlarm', alarm: { shard: 2, kind: 'no-majority', since: now, evidence: 'x, y, z' } });
    run({ type: 'recordCheck', check: check({ verdict: 'indeterminate', reason: 'no answer from member 3' }) });
    const issues = diagnose(input()).shards.consistencyIssues;
    expect(codes(issues)).toEqual(['consistency.set-apart', 'consistency.frozen', 'check.indeterminate']);
    expect(issues[1]?.remedy).toContain('/admin/members/<id>/repair?collection=c&partition=1');
    const replicas = [1, 2, 3].map((member) => ({ member, role: 'voter' as const }));
    run({ type: 'updateShardReplicas', shard: 1, expectedEpoch: 1, replicas, renew: [2] });
    expect(codes(diagnose(input()).shards.consistencyIssues)).toContain('consistency.unverified');
  });

  it('list so many findings and say how many more there are', () => {
    const unplaced = Array.from({ length: 50 }, (_, partition) => ({
      ...{ shard: partition, collection: 'c', partition, why: 'initial', reason: 'capacity' },
    })) as unknown as DiagnosticsInput['unplaced'];
    const found = diagnose(input({ unplaced })).shards.distributionBalance;
    expect(found).toHaveLength(21);
    expect(found.at(-1)?.message).toBe('30 more findings of this area are not listed');
  });
});

it('load shows operations that are slow, and members with little left', () => {
  const slow = report(1);
  slow.collections[0]!.performanceStats = { readsPerSecond: 1, writesPerSecond: 1, readP99Ms: 300, writeP99Ms: 2 };
  const resources = {
    ...slow.resources!,
    ...{ eventLoopDelayMs: 400, unflushedBytes: 60 * 1024 * 1024, diskFreeBytes: 40, storageRefusal: 'no space left' },
  };
  const members = [view(1, { report: { ...slow, resources, memoryBytes: 950 } }), view(2), view(3)];
  const { performance, resources: left } = diagnose(input({ members }));
  expect(codes(performance)).toEqual(['performance.slow', 'performance.event-loop', 'performance.disk']);
  expect(left.map(({ code, severity }) => [code, severity])).toEqual([
    ['resources.storage-full', 'error'],
    ['resources.disk', 'error'],
    ['resources.memory', 'warning'],
  ]);
});
