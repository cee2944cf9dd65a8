import { describe, expect, it, vi } from 'vitest';
import { MergingScan } from './merging-scan.ts';
import type { SimProcess } from '../../../testkit/sim/index.ts';
import { ByteRate } from '../../mesh/rate.ts';
import { contentOf, EventualGrid, type EventualMember, put } from '../../../testkit/eventual.ts';

const voter = (member: number, epoch = 1) => ({ member, role: 'voter', epoch }) as const;
const learner = (member: number, epoch: number) => ({ member, role: 'learner', epoch }) as const;

async function started(options: Partial<ConstructorParameters<typeof EventualGrid>[0]> = {}): Promise<EventualGrid> {
  const grid = new EventualGrid({ seed: 11, graceMs: 400, ...options });
  grid.start();
  await grid.world.run(500);
  return grid;
}

async function write(grid: EventualGrid, member: EventualMember, ids: readonly string[]): Promise<void> {
  const written = ids.map((id) => member.shard!.mutate(put(id, { k: id })));
  await grid.world.run(50);
  await Promise.all(written);
}

async function remove(grid: EventualGrid, member: EventualMember, ids: readonly string[]): Promise<void> {
  const removed = ids.map((objectId) => member.shard!.mutate({ type: 'delete', objectId }));
  await grid.world.run(50);
  for (const { changed } of await Promise.all(removed)) expect(changed).toBe(true);
}

const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${String(i)}`);

describe('a replica that is added', () => {
  it('takes no writes and counts as behind until it has all that another one had', async () => {
    const grid = await started();
    await write(grid, grid.member(1), names('a', 300));
    await grid.converge();
    const added = grid.addMember();
    grid.boot(added);
    await grid.world.run(20);
    await grid.record([voter(1), voter(2), voter(3), learner(4, 2)], 2);
    expect(added.shard?.isComplete).toBe(false);
    await expect(added.shard!.mutate(put('x', { k: '1' }))).rejects.toMatchObject({ code: 'NoLeader' });
    expect(grid.member(1).shard!.isSyncedWith(4)).toBe(false);
    expect(await grid.world.until(() => added.shard?.isComplete === true, 20_000)).toBe(true);
    expect(contentOf(added.shard!.reader).size).toBe(300);
    // Still a learner by the record.
    expect(added.shard!.isPrimary).toBe(false);
    expect(await grid.world.until(() => grid.member(1).shard!.isSyncedWith(4), 20_000)).toBe(true);
    await grid.record([voter(1), voter(2), voter(3), voter(4, 2)], 3);
    expect(added.shard!.isPrimary).toBe(true);
  });

  it('gets what it lacks at the rate that holds now, however long it takes', async () => {
    const rates = new Map<number, ByteRate>();
    const rateOf = (number: number, { clock, timers }: SimProcess): ByteRate => {
      const rate = new ByteRate({ clock, timers, bytesPerSecond: 20_000 });
      rates.set(number, rate);
      return rate;
    };
    const grid = await started({ rateOf });
    const text = 'x'.repeat(1000);
    for (let from = 0; from < 4000; from += 500) {
      const all = names('a', from + 500).slice(from);
      const written = all.map((id) => grid.member(1).shard!.mutate(put(id, { k: text })));
      await grid.world.run(50);
      await Promise.all(written);
    }
    expect(await grid.converge()).toBe(true);
    const added = grid.addMember();
    grid.boot(added);
    await grid.world.run(20);
    await grid.record([voter(1), voter(2), voter(3), learner(4, 2)], 2);
    const has = (): number => added.shard?.counters.bytes ?? 0;
    const all = grid.member(1).shard!.counters.bytes;
    // What has arrived can be seen on the way; by all four members together not more than four times the rate.
    await grid.world.run(20_000);
    expect(has()).toBeGreaterThan(0);
    expect(has()).toBeLessThan(4 * (20 * 20_000 + 600_000));
    expect(added.shard?.isComplete).toBe(false);
    for (const rate of rates.values()) rate.bytesPerSecond = 100_000_000;
    expect(await grid.world.until(() => added.shard?.isComplete === true, 10_000)).toBe(true);
    expect(has()).toBe(all);
  });

  it('holds up reaping until it has the tombstones, also on a member that has not heard of it', async () => {
    const grid = await started();
    await write(grid, grid.member(1), names('a', 20));
    await grid.converge();
    await grid.world.run(3000);
    const added = grid.addMember();
    grid.boot(added);
    // Member 3 does not know of it yet, and can reach the others; the new one can reach only member 2.
    await grid.record(
      [voter(1), voter(2), voter(3), learner(4, 2)],
      2,
      [1, 2, 4].map((one) => grid.member(one)),
    );
    expect(await grid.world.until(() => added.shard?.isComplete === true, 20_000)).toBe(true);
    grid.network.cut('n1', 'n4');
    grid.network.cut('n2', 'n4');
    grid.network.cut('n3', 'n4');
    const cutOffAt = grid.world.startMs + grid.world.now;
    await grid.world.run(2000);
    await remove(grid, grid.member(3), names('a', 10));
    await grid.world.run(10_000);
    for (const { shard } of grid.members) expect(shard!.cut.ms).toBeLessThanOrEqual(cutOffAt + 500);
    expect(contentOf(added.shard!.reader).has('a0')).toBe(true);
    grid.network.heal();
    await grid.record([voter(1), voter(2), voter(3), learner(4, 2)], 2);
    expect(await grid.converge()).toBe(true);
    await grid.world.run(10_000);
    expect(await grid.converge()).toBe(true);
    for (const { shard } of grid.members)
      expect([...contentOf(shard!.reader).keys()].sort()).toEqual(names('a', 20).slice(10).sort());
  });
});

describe('the first replicas of a shard', () => {
  it('begin empty also when all of them open only after a new one was recorded', async () => {
    const grid = new EventualGrid({ seed: 11, graceMs: 400, replicas: 2 });
    grid.addMember();
    for (const member of grid.members) {
      member.membership = { epoch: 2, replicas: [voter(1), voter(2), learner(3, 2)] };
    }
    grid.start();
    await grid.world.run(500);
    await write(grid, grid.member(1), ['a']);
    expect(await grid.converge()).toBe(true);
    expect(grid.shards.map(({ isComplete }) => isComplete)).toEqual([true, true, true]);
    expect(grid.member(1).shard!.isSyncedWith(3)).toBe(true);
  });
});

describe('a replica that is to leave', () => {
  it('takes no more writes, and the others have all that it took', async () => {
    const grid = await started();
    const leaving = grid.member(3);
    grid.network.cut('n1', 'n3');
    grid.network.cut('n2', 'n3');
    await write(grid, leaving, names('only', 50));
    await grid.record([voter(1), voter(2), learner(3, 1)], 2);
    await expect(leaving.shard!.mutate(put('x', { k: '1' }))).rejects.toMatchObject({ code: 'NoLeader' });
    await grid.world.run(1000);
    expect(grid.member(1).shard!.isSyncedWith(3)).toBe(false);
    grid.network.heal();
    expect(await grid.world.until(() => grid.member(1).shard!.isSyncedWith(3), 20_000)).toBe(true);
    expect(contentOf(grid.member(1).shard!.reader).size).toBe(50);
    await grid.record([voter(1), voter(2)], 3);
    expect(leaving.shard).toBeUndefined();
    expect(leaving.host!.stored().size).toBe(0);
  });

  it('goes, and not its successor with it', async () => {
    const grid = await started();
    const member = grid.member(3);
    await write(grid, grid.member(1), names('a', 5));
    await grid.record([voter(1), voter(2), learner(3, 2)], 2);
    expect(await grid.converge()).toBe(true);
    await member.host!.remove(1, 1);
    expect(member.host!.stored()).toEqual(new Map([[1, 2]]));
    await write(grid, grid.member(1), ['later']);
    expect(await grid.converge()).toBe(true);
    expect(contentOf(member.shard!.reader).size).toBe(6);
  });

  it('is not taken for the one that is made anew on the same member', async () => {
    const grid = await started();
    await write(grid, grid.member(1), names('a', 5));
    await grid.converge();
    await grid.record([voter(1), voter(2), learner(3, 2)], 2, [grid.member(3)]);
    expect(grid.member(3).shard?.epoch).toBe(2);
    await grid.world.run(3000);
    // The others talk to the old one still: nothing that they say counts.
    expect(grid.member(3).shard!.isComplete).toBe(false);
    expect(contentOf(grid.member(3).shard!.reader).size).toBe(0);
    await grid.record([voter(1), voter(2), learner(3, 2)], 2);
    expect(await grid.converge()).toBe(true);
    expect(contentOf(grid.member(3).shard!.reader).size).toBe(5);
  });
});

describe('a replica that is made anew', () => {
  /** Two replicas, of which the second is cut off and lacks what was written since. */
  const apart = async () => {
    const grid = await started({ replicas: 2 });
    const [asking, replaced] = [grid.member(1), grid.member(2)];
    await write(grid, asking, names('a', 5));
    await grid.converge();
    grid.network.isolate('n2');
    await grid.world.run(1500);
    await write(grid, asking, ['more']);
    // Hints go with the process.
    asking.node.crash();
    asking.node.restart();
    await grid.world.run(20);
    return { grid, asking, replaced };
  };

  it('is not complete by a comparison with the one before it, whose answer came after that one was gone', async () => {
    const { grid, asking, replaced } = await apart();
    const delay = { minMs: 300, meanMs: 300, maxMs: 300 };
    grid.network.setFaultsOf('n2', 'n1', { ...grid.network.faultsOf('n2', 'n1'), delay });
    grid.network.heal();
    const [former, asker] = [replaced.shard!, asking.shard!];
    const heardByFormer = vi.spyOn(former, 'heard');
    const heardByAsker = vi.spyOn(asker, 'heard');
    // First what it had asked for itself, then what it is asked.
    expect(await grid.world.until(() => heardByFormer.mock.calls.length === 2, 5000)).toBe(true);
    heardByAsker.mockClear();
    await grid.record([voter(1), learner(2, 2)], 2);
    expect(replaced.shard).toMatchObject({ epoch: 2, isComplete: false });
    expect(heardByAsker).not.toHaveBeenCalled();
    expect(await grid.world.until(() => heardByAsker.mock.calls.length > 0, 5000)).toBe(true);
    expect(heardByAsker.mock.calls[0]?.[0]).toEqual({ member: 2, epoch: 1 });
    // The new one takes its own time to ask: what it lacks is more than what the former one lacked.
    expect(await grid.world.until(() => replaced.shard!.isComplete, 20_000)).toBe(true);
    expect([...contentOf(replaced.shard!.reader).keys()]).toEqual([...names('a', 5), 'more']);
  });

  it('is not complete by the end of an exchange that another one began with the one before it', async () => {
    const { grid, replaced } = await apart();
    const delay = { minMs: 200, meanMs: 200, maxMs: 200 };
    grid.network.setFaultsOf('n1', 'n2', { ...grid.network.faultsOf('n1', 'n2'), delay });
    const merged = vi.spyOn(replaced.shard!, 'merge');
    grid.network.heal();
    expect(await grid.world.until(() => merged.mock.calls.length > 0, 5000)).toBe(true);
    await grid.record([voter(1), learner(2, 2)], 2, [replaced]);
    expect(replaced.shard).toMatchObject({ epoch: 2, isComplete: false });
    await grid.world.run(1000);
    expect(replaced.shard!.isComplete).toBe(false);
    await grid.record([voter(1), learner(2, 2)], 2);
    expect(await grid.world.until(() => replaced.shard!.isComplete, 20_000)).toBe(true);
    expect([...contentOf(replaced.shard!.reader).keys()]).toEqual([...names('a', 5), 'more']);
  });

  it('has nothing in common with another one because of what the one before it had', async () => {
    const grid = await started({ replicas: 2, graceMs: 20 });
    await write(grid, grid.member(1), names('a', 5));
    await grid.converge();
    const { shard } = grid.member(1);
    const announced = shard!.announce();
    await grid.world.run(20);
    const mine = await announced;
    grid.network.isolate('n2');
    const record = [voter(1), learner(2, 2)];
    await grid.record(record, 2, [grid.member(1)]);
    const completion = { mine: { ...mine, membership: 2 }, theirs: { ...mine, membership: 2 } };
    shard!.completed({ member: 2, epoch: 1 }, completion);
    expect(shard!.isSyncedWith(2)).toBe(false);
    const cut = { ...mine.stamp, counter: 0, member: 0 };
    shard!.heard({ member: 2, epoch: 1 }, { ...mine, cut });
    expect(shard!.cut).not.toEqual(cut);
    shard!.completed({ member: 2, epoch: 2 }, completion);
    expect(shard!.isSyncedWith(2)).toBe(true);
  });
});

describe('a replica that was away for long', () => {
  it('brings nothing back that was deleted meanwhile, and keeps what it took while it was alone', async () => {
    const grid = await started();
    const away = grid.member(3);
    await write(grid, grid.member(1), names('a', 40));
    await grid.converge();
    grid.network.isolate('n3');
    await write(grid, away, names('alone', 5));
    away.node.crash();
    await remove(grid, grid.member(1), names('a', 20));
    await write(grid, grid.member(2), names('b', 5));
    // What matters is that it is far beyond the grace of tombstones.
    await grid.world.run(600_000);
    grid.network.heal();
    away.node.restart();
    expect(await grid.converge()).toBe(true);
    await grid.world.run(20_000);
    expect(await grid.converge()).toBe(true);
    const expected = [...names('a', 40).slice(20), ...names('alone', 5), ...names('b', 5)].sort();
    for (const { shard } of grid.members) {
      expect([...contentOf(shard!.reader).keys()].sort()).toEqual(expected);
      expect(shard!.cut.ms).toBeGreaterThan(0);
    }
  });
});

describe('a former replica', () => {
  it('hands over what it took before it was replaced, and nothing that was deleted and reaped since', async () => {
    const grid = await started();
    const former = grid.member(3);
    await write(grid, grid.member(1), names('a', 30));
    await grid.converge();
    await grid.world.run(2000);
    grid.network.isolate('n3');
    former.node.crash();
    await grid.record([voter(1), voter(2)], 2);
    await remove(grid, grid.member(1), names('a', 10));
    await grid.world.run(10_000);
    expect(await grid.converge()).toBe(true);
    expect(grid.member(1).shard!.counters.objects).toBe(20);
    // What it wrote alone is later than what the others have reaped.
    former.membership = { epoch: 1, replicas: [voter(1), voter(2), voter(3)] };
    former.node.restart();
    await grid.world.run(50);
    await write(grid, former, names('alone', 5));
    former.node.crash();
    grid.network.heal();
    former.membership = { epoch: 2, replicas: [voter(1), voter(2)] };
    former.node.restart();
    await grid.world.run(2000);
    const shard = grid.former(former, 1);
    const given = former.host!.handOver(shard, 2, 1);
    await grid.world.run(500);
    expect(await given).toBeGreaterThan(9);
    expect(await grid.converge()).toBe(true);
    await grid.world.run(10_000);
    const expected = [...names('a', 30).slice(10), ...names('alone', 5)].sort();
    for (const number of [1, 2]) {
      expect([...contentOf(grid.member(number).shard!.reader).keys()].sort()).toEqual(expected);
    }
    const refused = former.host!.handOver(shard, 2, 7).catch((error: unknown) => error);
    await grid.world.run(100);
    expect(await refused).toMatchObject({ code: 'FailedPrecondition' });
  });
});

describe('a former replica that has not heard of its end', () => {
  it('brings nothing to one that has not heard what is taken for known everywhere by now', async () => {
    const grid = await started();
    const [first, second, former] = [1, 2, 3].map((number) => grid.member(number)) as [
      EventualMember,
      EventualMember,
      EventualMember,
    ];
    await write(grid, first, ['kept', 'gone']);
    expect(await grid.converge()).toBe(true);
    grid.network.isolate('n3');
    // Until nobody takes the links for being up: what is written goes as soon as one is.
    await grid.world.run(1500);
    await write(grid, former, ['alone']);
    const writtenAt = grid.world.startMs + grid.world.now;
    await grid.record([voter(1), voter(2)], 2, [first, second]);
    await remove(grid, first, ['gone']);
    const isCut = ({ shard }: EventualMember): boolean => shard!.cut.ms > writtenAt;
    expect(await grid.world.until(() => isCut(first) || isCut(second), 20_000)).toBe(true);
    // One of them has made the cut, and what the other one gets now it will not take any more.
    expect(isCut(first) && isCut(second)).toBe(false);
    const [ahead, behind] = isCut(first) ? ['n1', 'n2'] : ['n2', 'n1'];
    grid.network.partition([[ahead], [behind, 'n3']]);
    const sent = vi.spyOn(former.host!, 'send');
    expect(await grid.world.until(() => sent.mock.results.some(({ value }) => value === true), 5000)).toBe(true);
    await grid.world.run(100);
    await grid.record([voter(1), voter(2)], 2, [former]);
    grid.network.heal();
    expect(await grid.converge()).toBe(true);
    for (const { shard } of [first, second]) expect([...contentOf(shard!.reader).keys()]).toEqual(['kept']);
  });
});

describe('a former replica that comes back too late', () => {
  it('brings nothing that the others may be about to take for known everywhere, nor takes any of it away', async () => {
    const grid = await started();
    const [heir, other, former] = [1, 2, 3].map((number) => grid.member(number)) as [
      EventualMember,
      EventualMember,
      EventualMember,
    ];
    await write(grid, heir, ['kept']);
    expect(await grid.converge()).toBe(true);
    grid.network.isolate('n3');
    await write(grid, former, ['alone']);
    await remove(grid, former, ['kept']);
    former.node.crash();
    await grid.record([voter(1), voter(2)], 2);
    await grid.world.run(1000);
    // The heir has not reaped that far itself: it cannot, for the other one is cut off.
    grid.network.partition([['n1', 'n3'], ['n2']]);
    await write(grid, heir, ['later']);
    await grid.world.run(2000);
    await write(grid, heir, ['last']);
    const before = heir.shard!.cut;
    former.membership = { epoch: 2, replicas: [voter(1), voter(2)] };
    former.node.restart();
    await grid.world.run(1000);
    const given = former.host!.handOver(grid.former(former, 1), 1, 1);
    await grid.world.run(500);
    expect(await given).toBeGreaterThan(0);
    expect(heir.shard!.cut).toEqual(before);
    grid.network.heal();
    expect(await grid.converge()).toBe(true);
    for (const { shard } of [heir, other]) {
      expect([...contentOf(shard!.reader).keys()].sort()).toEqual(['kept', 'last', 'later']);
    }
  });
});

describe('replicas that differ', () => {
  it('name the keys, and what each has of them', async () => {
    const grid = await started({ tuning: { maxExchanges: 0 } });
    await write(grid, grid.member(1), ['same', 'other']);
    await grid.world.run(500);
    grid.network.isolate('n2');
    await grid.world.run(1500);
    await write(grid, grid.member(1), ['other', 'more']);
    // Hints go with the process.
    grid.member(1).node.crash();
    grid.member(1).node.restart();
    grid.network.heal();
    await grid.world.run(2000);
    const asked = grid.member(1).shard!.differencesWith(2, 100);
    await grid.world.run(100);
    const { differences, mine, theirs } = await asked;
    expect(mine.root).not.toBe(theirs.root);
    expect(differences.map(({ key }) => key)).toEqual(['more', 'more\u0000k']);
    expect(differences.every(({ ours, theirs: leaf }) => ours !== undefined && leaf === undefined)).toBe(true);
  });
});

describe('a look at all that a replica has stored', () => {
  const kinds = { meta: 2, leaf: 6, page: 7 } as const;

  /** What it finds after a bit of the record of that kind, the last one whose key ends so, was flipped. */
  async function foundIn(kind: keyof typeof kinds, ending: string): Promise<Pick<MergingScan, 'bad' | 'damage'>> {
    const grid = await started();
    const { shard, disk } = grid.member(1);
    await write(grid, grid.member(1), ['a', 'b']);
    const source = shard!.scanSource('1');
    await grid.world.run(100);
    const { location, snapshot } = await source;
    snapshot.close();
    const records = [...disk.range({ start: Buffer.from([0]), end: Buffer.from([0xff]) })];
    const record = records.findLast(
      ({ key }) => key[10] === kinds[kind] && Buffer.from(key).toString('latin1').endsWith(ending),
    )!;
    const damaged = Buffer.from(record.value);
    damaged[damaged.length - 1]! ^= 1;
    await disk.write([{ type: 'put', key: record.key, value: damaged }]);
    const scan = new MergingScan(disk, location);
    while (!scan.isDone) scan.read(64);
    return { bad: scan.bad, damage: scan.damage };
  }

  it('finds an entry whose stored value is not what its leaf says', async () => {
    expect(await foundIn('meta', 'b')).toEqual({ bad: ['b/k'], damage: ['1 stored values cannot be read (b/k)'] });
    expect(await foundIn('leaf', 'b\u0000k')).toMatchObject({ bad: ['b/k'] });
  });

  it('finds a page of the tree that is not what its address says', async () => {
    expect(await foundIn('page', '')).toEqual({ bad: [], damage: ['1 records of the tree cannot be read'] });
  });
});
