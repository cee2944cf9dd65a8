import { oaasError } from '@oaas/commons/errors';
import { createLogger } from '@oaas/commons/telemetry';
import { simulatedTime } from '@oaas/commons/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  apply,
  type CheckRecord,
  type CheckVerdict,
  type Command,
  createMetaState,
  type MetaGroup,
  type MetaState,
  type NewCommand,
  type TaskRecord,
} from '../meta/index.ts';
import { encodeLeaf } from '../merge/index.ts';
import type { CheckService, MergingComparison, Verification } from './check-service.ts';
import { ConsistencyChecker } from './checks.ts';

type Look = Partial<Verification> | Error | (() => void);

/** What a replica has: leaves in hexadecimal by key. */
type Held = Readonly<Record<string, string>>;

const members = [1, 2, 3];
const startMs = 1_800_000_000_000;
const counters = { objects: 1, entries: 1, bytes: 10 };
let state: MetaState;
/** What each member says to one question after the other; the last of it again and again. */
let looks: Map<number, Look[]>;
let released: number[];
/** What the members have in turn, the first time that replicas are compared, and the second time. */
let held: readonly Held[][];
let comparisons: number;
/** Replicas that cannot be compared, or with which another one cannot. */
let incomparable: readonly number[];

function run(command: NewCommand): void {
  const result = apply(state, { known: true, version: 1, command: { ...command, at: 5 } as Command });
  expect(result).toMatchObject({ ok: true });
}

beforeEach(() => {
  state = createMetaState();
  const member = (id: string) => ({ id, address: '', admin: '', zone: '', incarnation: '1', commandVersion: 1 });
  run({ type: 'bootstrap', clusterId: 'c', members: ['a', 'b', 'c'].map(member) });
  const names = { name: 'c', classIds: [], options: {}, invocations: { fnRoutes: {}, disabledFn: [] } };
  const spec = { ...names, partitionCount: 1, replicaCount: 3, shardType: 'mst', durability: 'persistent' } as const;
  run({ type: 'putCollection', spec });
  run({ type: 'assignShards', assignments: [{ shard: 1, replicas: members }] });
  looks = new Map(members.map((one) => [one, [{ isDone: true }]]));
  released = [];
  held = [[{}, {}, {}]];
  comparisons = 0;
  incomparable = [];
});

const alarm = (member: number): void => {
  const about = { shard: 1, member, epoch: 1, kind: 'corrupt-replica', since: 1, evidence: '' } as const;
  run({ type: 'setAlarm', alarm: about });
};

const heldBy = (member: number): Held => held[Math.min(comparisons, held.length) - 1]?.[member - 1] ?? {};
const rootOf = (one: Held): string => Buffer.from(JSON.stringify(Object.entries(one).sort())).toString('hex');

function comparisonOf(ours: Held, member: number): MergingComparison {
  const theirs = heldBy(member);
  const keys = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].filter((key) => ours[key] !== theirs[key]);
  const differences = keys.map((key) => ({ key, ours: ours[key], theirs: theirs[key] }));
  const isHeard = !incomparable.includes(member);
  return {
    member,
    ourRoot: rootOf(ours),
    theirRoot: rootOf(theirs),
    differences,
    ...(isHeard ? {} : { problem: 'x' }),
  };
}

const checks = {
  root: (member: number, _shard: number, _id: string, isDeep: boolean) => {
    const own = looks.get(member) ?? [];
    let look = (own.length > 1 ? own.shift() : own[0]) ?? {};
    if (typeof look === 'function') {
      look();
      look = {};
    }
    if (look instanceof Error) return Promise.reject(look);
    const verification = { isDone: false, readBytes: 0, bad: [], ...look };
    const root = rootOf(held[0]?.[member - 1] ?? {});
    return Promise.resolve({ root, counters, ...(isDeep ? { verification } : {}) });
  },
  compare: (source: number, _shard: number, others: readonly number[]) => {
    comparisons += 1;
    if (incomparable.includes(source)) return Promise.reject(oaasError('Unavailable', 'no link'));
    return Promise.resolve(others.map((other) => comparisonOf(heldBy(source), other)));
  },
  release: (member: number) => {
    released.push(member);
    return Promise.resolve();
  },
} as unknown as CheckService;

async function checked(mode: 'fast' | 'deep' = 'deep'): Promise<{ check: CheckRecord; tookMs: number }> {
  const { clock, timers, advance } = simulatedTime(startMs);
  const propose = (command: NewCommand) => {
    run(command);
    return Promise.resolve();
  };
  const meta = { state, propose } as unknown as MetaGroup;
  const logger = createLogger({ service: 'test', level: 'silent' });
  const checker = new ConsistencyChecker({ meta, checks, leaderOf: () => 0, clock, timers, logger });
  const task = { id: 4, kind: 'consistency-check', options: { mode } } as unknown as TaskRecord;
  const startedAt = clock.monotonic();
  let tookMs: number | undefined;
  const control = { isCancelled: () => false, progress: () => undefined };
  const done = checker.check(state.shards.get(1)!, task, control).then(() => {
    tookMs = clock.monotonic() - startedAt;
  });
  while (tookMs === undefined) await advance(250);
  await done;
  return { check: state.checks.at(-1)!, tookMs };
}

const alarmed = (): unknown[] => state.alarms.map(({ member }) => member);

describe('a deep check of replicas that merge, whose roots are alike', () => {
  it('finds them converged when all have read everything, and lifts the alarms of those', async () => {
    alarm(2);
    looks.set(3, [{ readBytes: 1 }, { readBytes: 2 }, { isDone: true, note: 'the journal is damaged in j at byte 1' }]);
    const { check } = await checked();
    expect(check).toMatchObject({ verdict: 'converged', minority: [] });
    expect(check.reason).toBe('the journal is damaged in j at byte 1 on member 3');
    expect(alarmed()).toEqual([]);
    expect(released).toEqual(members);
  });

  it.each([
    ['names entries', { bad: ['o/k'], damage: '1 stored values cannot be read (o/k)' }],
    ['names none', { damage: 'what is stored has the root a, what was written b' }],
    ['comes from a node of an earlier version', { bad: ['o/k'] }],
  ])('is not converged with damage that %s: the damaged replica gets an alarm', async (_, look) => {
    looks.set(2, [{ isDone: true, ...look }]);
    const { check } = await checked();
    expect(check).toMatchObject({ verdict: 'inconsistent', minority: [2], reason: 'damaged on member 2' });
    expect(check.differing).toEqual('bad' in look ? ['o/k'] : []);
    expect(check.replicas.map(({ problem }) => problem !== undefined)).toEqual([false, true, false]);
    expect(state.alarms).toMatchObject([{ member: 2, epoch: 1, kind: 'corrupt-replica' }]);
  });

  it('says that all are damaged, and sets none apart then: each may have what the others lost', async () => {
    for (const one of members) looks.set(one, [{ isDone: true, bad: [`o${String(one)}/k`] }]);
    const { check } = await checked();
    expect(check).toMatchObject({ verdict: 'inconsistent', minority: [], reason: 'damaged on members 1, 2, 3' });
    expect(check.differing).toEqual(['o1/k', 'o2/k', 'o3/k']);
    expect(alarmed()).toEqual([]);
  });

  it.each<[string, Look[]]>([
    ['stopped reading', [{ readBytes: 5 }]],
    ['was refused to read', [{ isDone: true, refused: 'the node has too many scans at once' }]],
    ['ended early', [{ isDone: true, problem: 'the storage is closed' }]],
    ['went away while it read', [{ readBytes: 5 }, oaasError('NotFound', 'this member has no replica of the shard')]],
  ])('knows nothing when one of them %s, and lifts no alarm', async (_, look) => {
    alarm(2);
    looks.set(2, look);
    const { check } = await checked();
    expect(check).toMatchObject({ verdict: 'indeterminate', minority: [] });
    expect(check.reason).toBe('member 2 did not read all that is stored');
    expect(alarmed()).toEqual([2]);
  });

  it('is about the replicas that were there when it began: one that was made anew meanwhile keeps its alarm, and gets none', async () => {
    looks.set(2, [{ isDone: true, bad: ['o/k'] }]);
    looks.set(3, [{ isDone: true }]);
    const replicas = members.map((member) => ({ member, role: 'voter' as const }));
    const renewing = (): void => {
      run({ type: 'updateShardReplicas', shard: 1, expectedEpoch: 1, replicas, renew: [2] });
    };
    looks.set(1, [renewing, { isDone: true }]);
    expect((await checked()).check).toMatchObject({ verdict: 'inconsistent', minority: [2] });
    expect(alarmed()).toEqual([]);
    looks.set(2, [{ isDone: true }]);
    const newer = { shard: 1, member: 2, epoch: 3, kind: 'corrupt-replica', since: 1, evidence: '' } as const;
    looks.set(1, [
      () => {
        run({ type: 'updateShardReplicas', shard: 1, expectedEpoch: 2, replicas, renew: [2] });
        run({ type: 'setAlarm', alarm: newer });
      },
      { isDone: true },
    ]);
    expect((await checked()).check).toMatchObject({ verdict: 'converged' });
    expect(alarmed()).toEqual([2]);
  });

  it('does not wait for a replica that went away', async () => {
    looks.set(2, [{ readBytes: 5 }, oaasError('NotFound', 'this member has no replica of the shard')]);
    expect((await checked()).tookMs).toBeLessThan(5000);
  });

  it('waits for one that cannot be reached for a moment', async () => {
    looks.set(2, [{ readBytes: 5 }, oaasError('Unavailable', 'no link'), { readBytes: 6, isDone: true }]);
    expect((await checked()).check).toMatchObject({ verdict: 'converged' });
  });
});

describe('a fast check of replicas that merge', () => {
  it('lifts alarms of replicas that were made anew since, and of no other', async () => {
    alarm(2);
    alarm(3);
    const replicas = members.map((member) => ({ member, role: 'voter' as const, epoch: member === 3 ? 9 : 1 }));
    state.shards.set(1, { ...state.shards.get(1)!, replicas });
    expect((await checked('fast')).check).toMatchObject({ verdict: 'converged' });
    expect(alarmed()).toEqual([2]);
    expect(released).toEqual([]);
  });
});

describe('three replicas that merge, of which not all have the same', () => {
  const leaf = (kind: 'lww' | 'tombstone') => (agoMs: number, content: number) => {
    const stamp = { ms: startMs - agoMs, counter: 0, member: 1 };
    return Buffer.from(encodeLeaf({ stamp, kind, digest: new Uint8Array(16).fill(content) })).toString('hex');
  };
  const value = leaf('lww');
  const [now, newer, old, older] = [value(1000, 1), value(20_000, 2), value(60_000, 3), value(90_000, 4)];
  const deleted = leaf('tombstone')(60_000, 0);
  const youngDeleted = leaf('tombstone')(1000, 0);
  /** One entry that all have, so that a root is never that of nothing. */
  const all = (...entries: (string | undefined)[]): Held[] =>
    entries.map((entry) => ({ same: older, ...(entry === undefined ? {} : { 'o\u0000k': entry }) }));

  // What each has of one entry; where it is not the same the second time, that too.
  it.each<[CheckVerdict, string, Held[], Held[]?]>([
    ['converged', 'had the same when they were looked at again', all(now, old, undefined), all(now, now, now)],
    ['lagging', 'lack a young version, one of them any', all(now, old, undefined)],
    ['lagging', 'lack a young version, but the asked one has it last', all(undefined, old, now)],
    ['lagging', 'lack an old version, but one has got it since', all(old, older, older), all(old, old, older)],
    ['lagging', 'do not know of a young deletion', all(youngDeleted, youngDeleted, old)],
    ['stuck', 'kept an older version, one of them', all(old, old, older)],
    ['stuck', 'kept older versions, each another one', all(value(120_000, 5), older, old)],
    ['stuck', 'have two contents of one version, however young', all(now, now, value(1000, 9))],
    ['missing', 'have an old entry, one of them has not', all(old, old, undefined)],
    ['missing', 'lack an old entry, but for one of them, which was not asked first', all(undefined, undefined, old)],
    ['missing', 'know of a deletion, one has never heard of the entry', all(deleted, deleted, undefined)],
    ['resurrected', 'know of a deletion, one has an older version still', all(deleted, deleted, older)],
    ['resurrected', 'have an older version, one knows of its deletion', all(older, undefined, deleted)],
  ])('are %s when they %s', async (verdict, _, first, second = first) => {
    held = [first, second];
    const { check } = await checked('fast');
    expect(check).toMatchObject({ verdict, minority: [], differing: verdict === 'converged' ? [] : ['o/k'] });
    expect(comparisons).toBe(2);
    expect(alarmed()).toEqual([]);
  });

  it('are as bad as the worst of their entries, which come in that order, each between other replicas', async () => {
    const [one, two, three] = [
      { lag: now, miss: old, stuck: old, back: older },
      { lag: old, miss: old, stuck: older, back: older },
      { lag: old, stuck: older, back: deleted },
    ];
    held = [[one, two, three]];
    const { check } = await checked('fast');
    expect(check).toMatchObject({ verdict: 'resurrected', differing: ['back', 'stuck', 'miss', 'lag'] });
    expect(check.oldestDifferenceMs).toBe(62_500);
  });

  it.each<[string, () => void]>([
    ['does not say what it has', () => looks.set(3, [oaasError('Unavailable', 'no link')])],
    ['cannot be compared with the one that is asked', () => (incomparable = [3])],
    ['is asked and cannot compare itself', () => (incomparable = [1])],
  ])('are indeterminate when one of them %s, whatever the others have', async (_, arrange) => {
    held = [all(deleted, older, newer)];
    arrange();
    const { check } = await checked('fast');
    expect(check).toMatchObject({ verdict: 'indeterminate', minority: [], differing: [] });
    expect(check.reason).toContain('no answer from members');
  });

  it('are converged again once what differed is the same, and what that says lifts their alarms', async () => {
    alarm(2);
    const renewed = { ...state.shards.get(1)! };
    const replicas = members.map((member) => ({ member, role: 'voter' as const, epoch: member === 2 ? 9 : 1 }));
    state.shards.set(1, { ...renewed, replicas });
    held = [all(old, older, older)];
    expect((await checked('fast')).check.verdict).toBe('stuck');
    expect(alarmed()).toEqual([2]);
    held = [all(old, old, old)];
    expect((await checked('fast')).check.verdict).toBe('converged');
    expect(alarmed()).toEqual([]);
  });
});
