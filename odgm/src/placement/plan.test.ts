import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planPlacement } from './index.ts';
import type { Move, PlacementMember, PlacementShard, PlacementSnapshot, Plan } from './types.ts';

const mebibyte = 1024 * 1024;

function member(number: number, rest: Partial<PlacementMember> = {}): PlacementMember {
  return { number, id: `grid-${number}`, zone: '', state: 'up', ...rest };
}

function members(count: number, zoneOf: (number: number) => string = () => ''): PlacementMember[] {
  return Array.from({ length: count }, (_, i) => member(i + 1, { zone: zoneOf(i + 1) }));
}

function shard(id: number, replicas: readonly number[], rest: Partial<PlacementShard> = {}): PlacementShard {
  return {
    id,
    collection: 'c',
    partition: id - 1,
    wantedReplicas: Math.max(1, replicas.length),
    replicas: replicas.map((number) => ({ member: number, role: 'voter' })),
    leader: replicas[0],
    needsQuorum: true,
    bytes: mebibyte,
    ops: 10,
    ...rest,
  };
}

/** The snapshot after all moves of the plan, made one after the other. */
function applied(snapshot: PlacementSnapshot, plan: Plan): PlacementSnapshot {
  const shards = new Map(snapshot.shards.map((one) => [one.id, one]));
  for (const move of plan.moves) shards.set(move.shard, after(shards.get(move.shard)!, move));
  for (const target of plan.targets) {
    const one = shards.get(target.shard)!;
    const isNew = one.leader === undefined && target.leader !== undefined && one.leaderless !== true;
    if (isNew) shards.set(one.id, { ...one, leader: target.leader });
  }
  return { ...snapshot, shards: [...shards.values()] };
}

function after(one: PlacementShard, move: Move): PlacementShard {
  if (move.kind === 'leader') {
    expect(one.replicas.some(({ member: number }) => number === move.to)).toBe(true);
    return { ...one, leader: move.to };
  }
  if (move.from !== undefined) expect(one.replicas.some(({ member: number }) => number === move.from)).toBe(true);
  const others = one.replicas.filter(({ member: number }) => number !== move.from && number !== move.to);
  if (move.to !== undefined) {
    expect(one.replicas).not.toContainEqual({ member: move.to, role: 'voter' });
    others.push({ member: move.to, role: 'voter' });
  }
  const leader = move.from === one.leader ? move.leaderTo : one.leader;
  return { ...one, replicas: others, leader };
}

function holders(one: PlacementShard): number[] {
  return one.replicas.map(({ member: number }) => number).sort((a, b) => a - b);
}

function upNumbers(snapshot: PlacementSnapshot): number[] {
  return snapshot.members.filter(({ state }) => state === 'up').map(({ number }) => number);
}

function loads(snapshot: PlacementSnapshot): number[] {
  return upNumbers(snapshot).map((number) => snapshot.shards.filter((one) => holders(one).includes(number)).length);
}

function leaderLoads(snapshot: PlacementSnapshot): number[] {
  return upNumbers(snapshot).map((number) => snapshot.shards.filter((one) => one.leader === number).length);
}

function spread(values: readonly number[]): number {
  return values.length === 0 ? 0 : Math.max(...values) - Math.min(...values);
}

/** Sum of squares of replicas by zone: least when zones are as even as possible. */
function unevenness(zones: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const zone of zones) counts.set(zone, (counts.get(zone) ?? 0) + 1);
  return [...counts.values()].reduce((sum, count) => sum + count * count, 0);
}

/** Least unevenness of any choice of `count` members, by filling the emptiest zone each time. */
function leastUnevenness(all: readonly PlacementMember[], count: number): number {
  const free = new Map<string, number>();
  for (const { zone, state } of all) if (state === 'up') free.set(zone, (free.get(zone) ?? 0) + 1);
  const used = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const open = [...free].filter(([zone, size]) => (used.get(zone) ?? 0) < size).map(([zone]) => zone);
    open.sort((a, b) => (used.get(a) ?? 0) - (used.get(b) ?? 0));
    if (open[0] !== undefined) used.set(open[0], (used.get(open[0]) ?? 0) + 1);
  }
  return [...used.values()].reduce((sum, value) => sum + value * value, 0);
}

function expectHardGoals(snapshot: PlacementSnapshot): void {
  const zones = new Map(snapshot.members.map(({ number, zone }) => [number, zone]));
  const up = new Set(upNumbers(snapshot));
  for (const one of snapshot.shards) {
    const held = holders(one);
    expect(new Set(held).size).toBe(held.length);
    expect(held).toHaveLength(one.wantedReplicas);
    expect(held.filter((number) => !up.has(number))).toEqual([]);
    const found = unevenness(held.map((number) => zones.get(number) ?? ''));
    expect(found).toBe(leastUnevenness(snapshot.members, held.length));
    if (one.leader !== undefined) expect(held).toContain(one.leader);
  }
  for (const { number, capacityBytes } of snapshot.members) {
    const bytes = snapshot.shards
      .filter((one) => holders(one).includes(number))
      .reduce((sum, one) => sum + one.bytes, 0);
    if (up.has(number)) expect(bytes).toBeLessThanOrEqual(capacityBytes ?? Infinity);
  }
}

/** Numbers below a bound, from a seed (mulberry32). */
function chance(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % bound;
  };
}

/** A grid with any placement, some members draining or down, always with a live majority of each shard. */
const grids = fc
  .record({
    zones: fc.integer({ min: 1, max: 4 }),
    perZone: fc.integer({ min: 1, max: 4 }),
    shards: fc.integer({ min: 0, max: 40 }),
    seed: fc.nat(1_000_000_000),
    states: fc.array(fc.constantFrom('up', 'up', 'up', 'draining', 'down'), { minLength: 16, maxLength: 16 }),
    unevenZones: fc.boolean(),
  })
  .map(({ zones, perZone, shards, seed, states, unevenZones }): PlacementSnapshot => {
    const next = chance(seed);
    const all = members(zones * perZone, (number) => `z${(unevenZones ? next(zones) : number % zones).toString()}`);
    const isGone = (index: number): boolean => states[index] !== 'up';
    const staying = all.filter((_, index) => !isGone(index));
    const final = staying.length < 3 ? all : all.map((one, i) => ({ ...one, state: (states[i] ?? 'up') as 'up' }));
    const up = final.filter(({ state }) => state === 'up').map(({ number }) => number);
    const list = Array.from({ length: shards }, (_, i) => {
      const wanted = 1 + next(Math.min(3, up.length));
      const pool = [...final].map(({ number }) => ({ number, key: next(1_000_000) })).sort((a, b) => a.key - b.key);
      const chosen = pool
        .slice(0, Math.min(pool.length, Math.max(0, wanted - 1 + next(3))))
        .map(({ number }) => number);
      const live = chosen.filter((number) => final.find((one) => one.number === number)?.state !== 'down');
      const held = live.length * 2 > chosen.length ? chosen : live;
      const leader = held.find((number) => live.includes(number));
      return shard(i + 1, held, { wantedReplicas: wanted, leader, bytes: next(64) * mebibyte, ops: next(1000) });
    });
    return { members: final, shards: list, options: { kind: 'rebalance' } };
  });

describe('a rebalance', () => {
  it('meets all hard goals from any placement, and has no violations left', () => {
    fc.assert(
      fc.property(grids, (snapshot) => {
        const plan = planPlacement(snapshot);
        expect(plan.blocked).toEqual([]);
        expectHardGoals(applied(snapshot, plan));
        expect(plan.after.violations).toBe(0);
      }),
      { numRuns: 400 },
    );
  });

  it('says in its targets and its balance what the moves lead to', () => {
    fc.assert(
      fc.property(grids, (snapshot) => {
        const plan = planPlacement(snapshot);
        const end = applied(snapshot, plan);
        for (const target of plan.targets) {
          const one = end.shards.find(({ id }) => id === target.shard)!;
          expect(holders(one)).toEqual(target.replicas);
          expect(one.leader).toBe(target.leader);
        }
        expect(planPlacement(end).before).toEqual(plan.after);
      }),
      { numRuns: 300 },
    );
  });

  it('has nothing to do after its own moves', () => {
    fc.assert(
      fc.property(grids, (snapshot) => {
        const end = applied(snapshot, planPlacement(snapshot));
        const again = planPlacement(end);
        expect(again.moves).toEqual([]);
        expect(again.reason).toBe(snapshot.shards.length === 0 ? 'no-shards' : 'balanced');
      }),
      { numRuns: 400 },
    );
  });

  it('is the same for any order of members, shards and replicas', () => {
    fc.assert(
      fc.property(grids, (snapshot) => {
        const turned = {
          ...snapshot,
          members: [...snapshot.members].reverse(),
          shards: [...snapshot.shards].reverse().map((one) => ({ ...one, replicas: [...one.replicas].reverse() })),
        };
        expect(planPlacement(turned)).toEqual(planPlacement(snapshot));
      }),
      { numRuns: 100 },
    );
  });

  it('brings replicas and leaders within one of each other where no zone stands in the way', () => {
    const even = grids.filter(({ members: all }) => all.every(({ zone }) => zone === all[0]?.zone));
    fc.assert(
      fc.property(even, (snapshot) => {
        const end = applied(snapshot, planPlacement(snapshot));
        expect(spread(loads(end))).toBeLessThanOrEqual(1);
        if (end.shards.every(({ wantedReplicas }) => wantedReplicas > 1)) {
          expect(spread(leaderLoads(end))).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('brings replicas within one of each other over zones of equal size', () => {
    for (const [zones, perZone, replicas, count] of [
      [3, 2, 3, 32],
      [3, 3, 2, 50],
      [2, 3, 3, 41],
      [4, 5, 3, 97],
    ] as const) {
      const all = members(zones * perZone, (number) => `z${number % zones}`);
      const list = Array.from({ length: count }, (_, i) => shard(i + 1, [], { wantedReplicas: replicas }));
      const snapshot: PlacementSnapshot = { members: all, shards: list, options: { kind: 'initial' } };
      const end = applied(snapshot, planPlacement(snapshot));
      expectHardGoals(end);
      expect(spread(loads(end))).toBeLessThanOrEqual(1);
      expect(spread(leaderLoads(end))).toBeLessThanOrEqual(1);
    }
  });
});

describe('a large grid', () => {
  it('of 10,000 shards on 19 members takes in another one, and recovers from a placement on three', () => {
    const twenty = members(20, (number) => `z${number % 4}`);
    const list = Array.from({ length: 10_000 }, (_, i) =>
      shard(i + 1, [], { wantedReplicas: 3, bytes: (i % 97) * mebibyte }),
    );
    const start: PlacementSnapshot = { members: twenty.slice(0, 19), shards: list, options: { kind: 'initial' } };
    const placed = planPlacement(start);
    expect(placed.after).toMatchObject({ violations: 0, replicas: 1, leaders: 1 });
    const targets = new Map(placed.targets.map((target) => [target.shard, target]));
    const settled = list.map((one) => {
      const { replicas = [], leader } = targets.get(one.id) ?? {};
      return shard(one.id, replicas, { bytes: one.bytes, leader });
    });
    const joined = planPlacement({ members: twenty, shards: settled, options: { kind: 'rebalance' } });
    expect(joined.after).toMatchObject({ violations: 0, replicas: 1, leaders: 1 });
    const arrivals = joined.moves.filter(({ kind, to }) => kind === 'replica' && to === 20).length;
    expect(arrivals).toBeLessThanOrEqual(1500);
    const heaped = list.map((one) => shard(one.id, [1, 2, 3]));
    const spreadOut = planPlacement({ members: twenty, shards: heaped, options: { kind: 'rebalance' } });
    expect(spreadOut.after).toMatchObject({ violations: 0, replicas: 1, leaders: 1 });
  });
});

describe('a plan of one purpose', () => {
  const five = members(5);
  const rows = [
    [1, 2, 3],
    [2, 3, 4],
    [3, 4, 5],
    [4, 5, 1],
    [5, 1, 2],
  ];
  const list = rows.map((row, i) => shard(i + 1, row));
  const withState = (number: number, state: PlacementMember['state']): PlacementMember[] =>
    five.map((one) => (one.number === number ? { ...one, state } : one));

  it('drains a member: its replicas and its leadership go, nothing else moves', () => {
    const snapshot: PlacementSnapshot = { members: withState(3, 'draining'), shards: list, options: { kind: 'drain' } };
    const plan = planPlacement(snapshot);
    const replicaMoves = plan.moves.filter(({ kind }) => kind === 'replica');
    expect(replicaMoves.map(({ from, why }) => [from, why])).toEqual([
      [3, 'drain'],
      [3, 'drain'],
      [3, 'drain'],
    ]);
    expect(replicaMoves.find(({ shard: id }) => id === 3)?.leaderTo).toBeDefined();
    const end = applied(snapshot, plan);
    expect(end.shards.some((one) => holders(one).includes(3) || one.leader === 3)).toBe(false);
    expect(spread(loads(end))).toBeLessThanOrEqual(1);
  });

  it('repairs what a member that is down held, and leaves a member alone that is only away', () => {
    const down = planPlacement({ members: withState(1, 'down'), shards: list, options: { kind: 'repair' } });
    expect(down.moves.filter(({ kind }) => kind === 'replica').map(({ from, why }) => [from, why])).toEqual([
      [1, 'repair'],
      [1, 'repair'],
      [1, 'repair'],
    ]);
    const away = planPlacement({ members: withState(1, 'away'), shards: list, options: { kind: 'rebalance' } });
    expect(away.moves.filter(({ from, to }) => from === 1 || to === 1)).toEqual([]);
  });

  it('adds and removes replicas when another number is wanted', () => {
    const more = list.map((one) => ({ ...one, wantedReplicas: 4 }));
    const add = planPlacement({ members: five, shards: more, options: { kind: 'replica-count' } });
    expect(add.moves.map(({ from, to }) => [from, to !== undefined])).toEqual(list.map(() => [undefined, true]));
    const fewer = list.map((one) => ({ ...one, wantedReplicas: 1 }));
    const snapshot: PlacementSnapshot = { members: five, shards: fewer, options: { kind: 'replica-count' } };
    const remove = planPlacement(snapshot);
    expect(remove.moves.filter(({ to, kind }) => to === undefined && kind === 'replica')).toHaveLength(10);
    expect(remove.bytesTotal).toBe(0);
    expectHardGoals(applied(snapshot, remove));
  });

  it('touches only the collections that it is for', () => {
    const other = list.map((one) => ({ ...one, id: one.id + 10, collection: 'd' }));
    const snapshot: PlacementSnapshot = {
      members: withState(3, 'draining'),
      shards: [...list, ...other],
      options: { kind: 'drain', collections: ['d'] },
    };
    const plan = planPlacement(snapshot);
    expect(plan.moves.length).toBeGreaterThan(0);
    expect(plan.moves.every(({ collection }) => collection === 'd')).toBe(true);
  });

  it('removes a learner that nobody works on, and counts a shard with a change under way as changed', () => {
    const leftover = shard(1, [1, 2, 3], {
      replicas: [
        ...[1, 2, 3].map((number) => ({ member: number, role: 'voter' }) as const),
        { member: 4, role: 'learner' },
      ],
    });
    const cleaned = planPlacement({ members: five, shards: [leftover], options: { kind: 'rebalance' } });
    expect(cleaned.moves).toMatchObject([{ from: 4, to: undefined, why: 'leftover-learner', bytes: 0 }]);
    const busy = planPlacement({
      members: five,
      shards: [leftover],
      pending: [{ shard: 1, from: 3, to: 4 }],
      options: { kind: 'rebalance' },
    });
    expect(busy).toMatchObject({ moves: [], reason: 'moves-pending' });
  });
});

describe('a plan that cannot move what it would', () => {
  it('says that there is no member to move to, and keeps the replica', () => {
    const all = [member(1), member(2), member(3, { state: 'draining' })];
    const plan = planPlacement({ members: all, shards: [shard(1, [1, 2, 3])], options: { kind: 'drain' } });
    expect(plan).toMatchObject({ moves: [], reason: 'no-member-to-move-to', blocked: [{ shard: 1, from: 3 }] });
  });

  it('says that members are full', () => {
    const all = [member(1, { state: 'draining' }), member(2, { capacityBytes: 10 * mebibyte })];
    const list = [1, 2, 3].map((id) => shard(id, [1], { bytes: 4 * mebibyte }));
    const plan = planPlacement({ members: all, shards: list, options: { kind: 'drain' } });
    expect(plan.moves.map(({ shard: id, to }) => [id, to])).toEqual([
      [1, 2],
      [2, 2],
    ]);
    expect(plan.blocked).toMatchObject([{ shard: 3, reason: 'capacity' }]);
  });

  it('says that a member is full, not that all is balanced, when nothing else keeps it from taking its share', () => {
    const list = [1, 2, 3].map((id) => shard(id, [1], { bytes: 4 * mebibyte }));
    const planFor = (kind: 'rebalance' | 'repair', capacityBytes: number): Plan =>
      planPlacement({ members: [member(1), member(2, { capacityBytes })], shards: list, options: { kind } });
    expect(planFor('rebalance', 3 * mebibyte)).toMatchObject({ moves: [], blocked: [], reason: 'capacity' });
    expect(planFor('repair', 3 * mebibyte)).toMatchObject({ moves: [], reason: 'balanced' });
    expect(planFor('rebalance', 4 * mebibyte).moves).toMatchObject([{ from: 1, to: 2 }]);
  });

  it('relieves a member that holds more than it may', () => {
    const all = [member(1, { capacityBytes: 10 * mebibyte }), member(2), member(3)];
    const list = [1, 2, 3, 4].map((id) => shard(id, [1], { bytes: 4 * mebibyte }));
    const snapshot: PlacementSnapshot = { members: all, shards: list, options: { kind: 'rebalance' } };
    const plan = planPlacement(snapshot);
    expect(plan.moves.some(({ why }) => why === 'capacity')).toBe(true);
    expectHardGoals(applied(snapshot, plan));
  });

  it('leaves a shard without a live majority, or without any live replica, as it is', () => {
    const all = [member(1), member(2, { state: 'down' }), member(3, { state: 'down' }), member(4), member(5)];
    const lost = [
      shard(1, [1, 2, 3]),
      shard(2, [2, 3], { needsQuorum: false }),
      shard(3, [1, 2, 3], { needsQuorum: false }),
    ];
    const plan = planPlacement({ members: all, shards: lost, options: { kind: 'repair' } });
    expect(plan.blocked.map(({ shard: id, reason }) => [id, reason])).toEqual([
      [2, 'no-live-replica'],
      [1, 'no-quorum'],
    ]);
    expect(new Set(plan.moves.map(({ shard: id }) => id))).toEqual(new Set([3]));
  });

  it('never lets a receiver hold more than it may in between', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 4, maxLength: 14 }), (sizes) => {
        const capacityBytes = Math.ceil((sizes.reduce((sum, size) => sum + size, 0) / 3) * 1.5 + 9) * mebibyte;
        const all = [1, 2, 3].map((number) =>
          member(number, { capacityBytes: number === 1 ? undefined : capacityBytes }),
        );
        const list = sizes.map((size, i) => shard(i + 1, [1], { bytes: size * mebibyte }));
        const snapshot: PlacementSnapshot = { members: all, shards: list, options: { kind: 'rebalance' } };
        const plan = planPlacement(snapshot);
        let state = snapshot;
        for (const move of plan.moves) {
          state = applied(state, { ...plan, moves: [move], targets: [] });
          expectHardGoals({ ...state, members: all });
        }
        expect(spread(loads(state))).toBeLessThanOrEqual(1);
      }),
      { numRuns: 100 },
    );
  });
});

describe('bytes and operations', () => {
  it('are evened out by exchanges that keep the numbers of replicas and leaders', () => {
    const list = Array.from({ length: 40 }, (_, i) => {
      const held = [(i % 4) + 1, ((i + 1) % 4) + 1];
      const isHeavy = i % 4 === 0;
      return shard(i + 1, held, { bytes: (isHeavy ? 100 : 10) * mebibyte, ops: isHeavy ? 900 : 10 });
    });
    const snapshot: PlacementSnapshot = { members: members(4), shards: list, options: { kind: 'rebalance' } };
    const plan = planPlacement(snapshot);
    const end = applied(snapshot, plan);
    expect(plan.before.bytes).toBeLessThan(0.75);
    expect(plan.after.bytes).toBeGreaterThan(0.9);
    expect(plan.after.ops).toBeGreaterThan(0.8);
    expect(plan.after.score).toBeGreaterThan(plan.before.score);
    expect([spread(loads(end)), spread(leaderLoads(end))]).toEqual([0, 0]);
    expect(planPlacement(end).moves).toEqual([]);
  });

  it('of a shard without a leader lie on all its replicas: who has many of them gives busy leaderships away', () => {
    const list = [
      shard(1, [1], { leaderless: true, ops: 1000 }),
      shard(2, [2], { leaderless: true, ops: 0 }),
      shard(3, [1, 2], { leader: 1, ops: 600 }),
      shard(4, [2, 1], { leader: 2, ops: 0 }),
    ];
    const plan = planPlacement({ members: members(2), shards: list, options: { kind: 'rebalance' } });
    expect(plan.before.ops).toBe(0);
    expect(plan.moves).toMatchObject([
      { kind: 'leader', shard: 3, to: 2, why: 'ops-balance' },
      { kind: 'leader', shard: 4, to: 1, why: 'ops-balance' },
    ]);
  });

  it('move nothing for small differences', () => {
    const list = Array.from({ length: 12 }, (_, i) =>
      shard(i + 1, [(i % 3) + 1], { bytes: (i % 3) * mebibyte, ops: i }),
    );
    const plan = planPlacement({ members: members(3), shards: list, options: { kind: 'rebalance' } });
    expect(plan.reason).toBe('balanced');
  });
});

describe('the number of moves', () => {
  it('is at most a sixth of the replicas, rounded up, when a member joins five', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 3 }), (count, replicas) => {
        const list = Array.from({ length: count }, (_, i) => shard(i + 1, [], { wantedReplicas: replicas }));
        const start: PlacementSnapshot = { members: members(5), shards: list, options: { kind: 'initial' } };
        const five = applied(start, planPlacement(start));
        const six: PlacementSnapshot = { ...five, members: members(6), options: { kind: 'rebalance' } };
        const moves = planPlacement(six).moves.filter(({ kind }) => kind === 'replica');
        expect(moves.length).toBeLessThanOrEqual(Math.ceil((count * replicas) / 6));
        expect(moves.every(({ to }) => to === 6)).toBe(true);
        expect(spread(loads(applied(six, planPlacement(six))))).toBeLessThanOrEqual(1);
      }),
      { numRuns: 150 },
    );
  });

  it('is the least that the best balance takes, or one more, found by trying all placements', () => {
    let [exact, runs] = [0, 0];
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 4 }),
        fc.array(fc.tuple(fc.nat(1_000_000), fc.integer({ min: 1, max: 2 })), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        (memberCount, picks, hasZones) => {
          const all = members(memberCount, (number) => (hasZones ? `z${number % 2}` : ''));
          const list = picks.map(([pick, wanted], i) => {
            const choices = subsets(memberCount, wanted);
            return shard(i + 1, choices[pick % choices.length]!, { bytes: 0, ops: 0 });
          });
          const snapshot: PlacementSnapshot = { members: all, shards: list, options: { kind: 'rebalance' } };
          const plan = planPlacement(snapshot);
          const end = applied(snapshot, plan);
          const best = bruteForce(snapshot);
          expect(sumOfSquares(loads(end))).toBe(best.squares);
          const moves = plan.moves.filter(({ kind }) => kind === 'replica').length;
          expect(moves).toBeLessThanOrEqual(best.moves + 1);
          runs += 1;
          if (moves === best.moves) exact += 1;
        },
      ),
      { numRuns: 300 },
    );
    expect(exact / runs).toBeGreaterThan(0.95);
  });
});

function sumOfSquares(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}

function subsets(count: number, size: number): number[][] {
  const all: number[][] = [];
  for (let mask = 0; mask < 1 << count; mask++) {
    const chosen = Array.from({ length: count }, (_, i) => i + 1).filter(
      (number) => (mask & (1 << (number - 1))) !== 0,
    );
    if (chosen.length === size) all.push(chosen);
  }
  return all;
}

/** Most even loads that zones allow, and the fewest replica moves to any placement with them. */
function bruteForce(snapshot: PlacementSnapshot): { squares: number; moves: number } {
  const count = snapshot.members.length;
  const zones = snapshot.members.map(({ zone }) => zone);
  const counts = new Array<number>(count + 1).fill(0);
  let best = { squares: Infinity, moves: Infinity };
  const descend = (index: number, moves: number): void => {
    const one = snapshot.shards[index];
    if (one === undefined) {
      const squares = sumOfSquares(counts);
      if (squares < best.squares || (squares === best.squares && moves < best.moves)) best = { squares, moves };
      return;
    }
    const least = leastUnevenness(snapshot.members, one.wantedReplicas);
    const old = holders(one);
    for (const chosen of subsets(count, one.wantedReplicas)) {
      if (unevenness(chosen.map((number) => zones[number - 1] ?? '')) !== least) continue;
      for (const number of chosen) counts[number] = (counts[number] ?? 0) + 1;
      descend(index + 1, moves + chosen.filter((number) => !old.includes(number)).length);
      for (const number of chosen) counts[number] = (counts[number] ?? 0) - 1;
    }
  };
  descend(0, 0);
  return best;
}
