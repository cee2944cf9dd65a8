import { oaasError } from '@oaas/commons/errors';
import { describe, expect, it, vi } from 'vitest';
import { EventualGrid, type EventualMember, put } from '../../../testkit/eventual.ts';
import type { EventualShard } from '../index.ts';

const voter = (member: number, epoch = 1) => ({ member, role: 'voter', epoch }) as const;
const learner = (member: number, epoch: number) => ({ member, role: 'learner', epoch }) as const;

async function started(options: Partial<ConstructorParameters<typeof EventualGrid>[0]> = {}): Promise<EventualGrid> {
  const grid = new EventualGrid({ seed: 11, type: 'mst', graceMs: 400, ...options });
  grid.start();
  await grid.world.run(500);
  return grid;
}

/** Lets virtual time pass until it is done. */
async function done<T>(grid: EventualGrid, work: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = (): void => {
    isSettled = true;
  };
  work.then(settled, settled);
  expect(await grid.world.until(() => isSettled, 20_000)).toBe(true);
  return work;
}

async function set(grid: EventualGrid, member: EventualMember, id: string, text: string): Promise<void> {
  await done(grid, member.shard!.mutate(put(id, { k: text })));
}

function textAt(shard: EventualShard, version: string, id: string): string | undefined {
  const data = shard.versions.object(version, id)?.entries.get('k')?.data;
  return data && Buffer.from(data).toString();
}

const labelsOf = ({ versions }: EventualShard): string[] => versions.versions.flatMap(({ label }) => label ?? []);
const branchesOf = ({ versions }: EventualShard): string[] => versions.branches.map(({ name }) => name);
const digestsOf = (grid: EventualGrid): Set<string> => new Set(grid.shards.map(({ refs }) => refs!.digest));
const agreed = (grid: EventualGrid): Promise<boolean> =>
  grid.world.until(() => digestsOf(grid).size === 1 && grid.shards.every(({ isComplete }) => isComplete), 20_000);

/** Objects `o0` and on, on all replicas. */
async function filled(grid: EventualGrid, count: number): Promise<void> {
  const { shard } = grid.member(1);
  const written = Array.from({ length: count }, (_, i) => shard!.mutate(put(`o${String(i)}`, { k: 'first' })));
  await done(grid, Promise.all(written));
  expect(await grid.converge()).toBe(true);
}

describe('a label and a branch that were acknowledged', () => {
  it('are there after the replica that made them is lost at once and replaced, with all that they name', async () => {
    const grid = await started();
    await filled(grid, 50);
    const [maker, second, third] = [1, 2, 3].map((number) => grid.member(number)) as [
      EventualMember,
      EventualMember,
      EventualMember,
    ];
    // What the others have not got yet, and what is gone from the main line afterwards.
    await set(grid, maker, 'o1', 'labelled');
    await done(grid, maker.shard!.versions.record('release'));
    await set(grid, maker, 'o1', 'later');
    await done(grid, maker.shard!.versions.createBranch('try', 'release'));
    await done(grid, maker.shard!.versions.writeBranch('try', put('o2', { k: 'branch' })));
    await done(grid, maker.shard!.versions.writeBranch('try', put('new', { k: 'new' })));
    maker.node.crash();

    const added = grid.addMember();
    grid.boot(added);
    await grid.world.run(20);
    const record = [voter(2), voter(3), learner(4, 2)];
    await grid.record(record, 2);
    // It counts as complete only with all of them.
    expect(await grid.world.until(() => added.shard?.isComplete === true, 20_000)).toBe(true);
    expect([labelsOf(added.shard!), branchesOf(added.shard!)]).toEqual([['release'], ['try']]);
    expect(await grid.world.until(() => second.shard!.isSyncedWith(4), 20_000)).toBe(true);
    await grid.record([voter(2), voter(3), voter(4, 2)], 3);
    expect(await agreed(grid)).toBe(true);
    const check = ({ shard }: EventualMember): void => {
      expect([labelsOf(shard!), branchesOf(shard!)]).toEqual([['release'], ['try']]);
      const at = (version: string): unknown[] => ['o0', 'o1', 'o2', 'new'].map((id) => textAt(shard!, version, id));
      expect(at('release')).toEqual(['first', 'labelled', 'first', undefined]);
      expect(at('try')).toEqual(['first', 'labelled', 'branch', 'new']);
    };
    for (const member of [second, third, added]) check(member);
    // Until the main line has nothing of it, tombstones are reaped and pages collected; and from the disk alone.
    for (let round = 0; round < 4; round++) {
      const all = Array.from({ length: 50 }, (_, i) =>
        added.shard!.mutate(put(`o${String(i)}`, { k: `round ${String(round)}` })),
      );
      await done(grid, Promise.all(all));
      await grid.world.run(1000);
    }
    await done(grid, second.shard!.mutate({ type: 'delete', objectId: 'o0' }));
    await grid.world.run(20_000);
    for (const member of [second, third, added]) {
      member.node.crash();
      member.node.restart();
    }
    await grid.world.run(500);
    for (const member of [second, third, added]) check(member);

    const { shard } = added;
    const merged = await done(grid, shard!.versions.mergeBranch('try', 'theirs'));
    expect(merged).toMatchObject({ objects: ['new', 'o2'], isDone: true });
    expect(await grid.converge()).toBe(true);
    expect(third.shard!.reader.value('o2', 'k')?.data.toString()).toBe('branch');
    // The merge is known to the others too: nothing is left to merge there.
    expect(await done(grid, third.shard!.versions.mergeBranch('try', 'list'))).toMatchObject({ objects: [] });
  });

  it('are on another disk by then, and while no other one can be reached go there later', async () => {
    const grid = await started();
    await set(grid, grid.member(1), 'a', '1');
    const holders = (): number => grid.shards.filter((shard) => labelsOf(shard).includes('x')).length;
    await done(grid, grid.member(1).shard!.versions.record('x'));
    expect(holders()).toBeGreaterThanOrEqual(2);
    grid.network.isolate('n1');
    await grid.world.run(2000);
    const alone = grid.world.now;
    await done(grid, grid.member(1).shard!.versions.createBranch('alone', 'x'));
    expect(grid.world.now - alone).toBeLessThan(100);
    expect(branchesOf(grid.member(2).shard!)).toEqual([]);
    grid.network.heal();
    expect(await agreed(grid)).toBe(true);
    for (const shard of grid.shards) expect(branchesOf(shard)).toEqual(['alone']);
  });

  it('are on two disks when they are acknowledged: not even both processes need to live on', async () => {
    const grid = await started({ replicas: 2, writeMs: 25 });
    const [maker, other] = [grid.member(1), grid.member(2)];
    await set(grid, maker, 'a', '1');
    let isDone = false;
    const recorded = maker.shard!.versions.record('x').then(() => {
      isDone = true;
    });
    expect(await grid.world.until(() => isDone, 5000)).toBe(true);
    for (const { node } of [maker, other]) node.crash();
    await recorded;
    other.node.restart();
    await grid.world.run(50);
    expect(textAt(other.shard!, 'x', 'a')).toBe('1');
  });

  it('are stamped as objects are: what comes from too far in the future waits', async () => {
    const grid = await started({ replicas: 2 });
    const [ahead, other] = [grid.member(1), grid.member(2)];
    ahead.node.jumpClock(9000);
    await done(grid, ahead.shard!.versions.record('x'));
    await grid.world.run(2000);
    expect([labelsOf(ahead.shard!), labelsOf(other.shard!)]).toEqual([['x'], []]);
    expect(await agreed(grid)).toBe(true);
    expect(labelsOf(other.shard!)).toEqual(['x']);
  });

  it('are with the others before a replica that is to leave counts as having nothing that they lack', async () => {
    const grid = await started();
    const [staying, leaving] = [grid.member(1), grid.member(3)];
    await filled(grid, 5);
    grid.network.isolate('n3');
    await grid.world.run(1500);
    await done(grid, leaving.shard!.versions.record('x'));
    const record = [voter(1), voter(2), learner(3, 1)];
    await grid.record(record, 2);
    const takes = [1, 2].map((number) => {
      const { refs } = grid.member(number).shard!;
      return vi.spyOn(refs!, 'take').mockRejectedValue(new Error('not now'));
    });
    grid.network.heal();
    expect(await grid.converge()).toBe(true);
    await grid.world.run(5000);
    expect(staying.shard!.isSyncedWith(3)).toBe(false);
    for (const take of takes) take.mockRestore();
    expect(await grid.world.until(() => staying.shard!.isSyncedWith(3), 20_000)).toBe(true);
    expect(labelsOf(staying.shard!)).toEqual(['x']);
  });

  it('do not keep a new replica from becoming complete while a branch is changed all the time', async () => {
    const grid = await started({ replicas: 2 });
    await filled(grid, 50);
    const { shard } = grid.member(1);
    await done(grid, shard!.versions.createBranch('try', 'now'));
    let isOver = false;
    let writes = 0;
    const write = (): void => {
      if (isOver) return;
      writes += 1;
      void shard!.versions.writeBranch('try', put('o1', { k: String(writes) })).then(write);
    };
    write();
    const added = grid.addMember();
    grid.boot(added);
    await grid.world.run(20);
    await grid.record([voter(1), voter(2), learner(3, 2)], 2);
    expect(await grid.world.until(() => added.shard?.isComplete === true, 20_000)).toBe(true);
    expect(branchesOf(added.shard!)).toEqual(['try']);
    expect(await grid.world.until(() => shard!.isSyncedWith(3), 20_000)).toBe(true);
    expect(writes).toBeGreaterThan(5);
    isOver = true;
  });

  it('are handed over by a replica that was replaced while it was away, less what was deleted meanwhile', async () => {
    const grid = await started();
    const [heir, former] = [grid.member(1), grid.member(3)];
    await filled(grid, 20);
    await done(grid, heir.shard!.versions.createBranch('gone', 'now'));
    expect(await agreed(grid)).toBe(true);
    grid.network.isolate('n3');
    await grid.world.run(1500);
    await done(grid, former.shard!.versions.createBranch('alone', 'now'));
    await done(grid, former.shard!.versions.writeBranch('alone', put('o1', { k: 'branch' })));
    former.node.crash();
    await grid.record([voter(1), voter(2)], 2);
    expect(await done(grid, heir.shard!.versions.deleteBranch('gone'))).toBe(true);
    grid.network.heal();
    former.membership = { epoch: 2, replicas: [voter(1), voter(2)] };
    former.node.restart();
    await grid.world.run(2000);
    await done(grid, former.host!.handOver(grid.former(former, 1), 1, 1));
    expect(branchesOf(heir.shard!)).toEqual(['alone']);
    expect(textAt(heir.shard!, 'alone', 'o1')).toBe('branch');
  });

  it('stay with a former replica while its heir cannot read its own, and are lost only with what has them', async () => {
    const grid = await started();
    const [heir, former] = [grid.member(1), grid.member(3)];
    await filled(grid, 20);
    grid.network.isolate('n3');
    await grid.world.run(1500);
    await done(grid, former.shard!.versions.createBranch('alone', 'now'));
    former.node.crash();
    await grid.record([voter(1), voter(2)], 2);
    grid.network.heal();
    former.membership = { epoch: 2, replicas: [voter(1), voter(2)] };
    former.node.restart();
    await grid.world.run(2000);
    const damaged = oaasError('StorageCorrupt', 'a block is not what was written');
    const hello = vi.spyOn(heir.shard!, 'announce').mockRejectedValue(damaged);
    const handOver = (): Promise<unknown> =>
      done(grid, former.host!.handOver(left, 1, 1)).catch((error: unknown) => error);
    const left = grid.former(former, 1);
    expect(await handOver()).toMatchObject({ code: 'Unavailable', details: { member: 1 } });
    hello.mockRestore();
    const give = vi.spyOn(left.refs!, 'give').mockRejectedValue(damaged);
    expect(await handOver()).toMatchObject({ code: 'StorageCorrupt' });
    give.mockRestore();
    expect(await handOver()).toBe(0);
    expect(branchesOf(heir.shard!)).toEqual(['alone']);
  });

  it('are deleted everywhere, also where they were not known to be deleted for long', async () => {
    const grid = await started();
    await set(grid, grid.member(1), 'a', '1');
    const { sequence } = await done(grid, grid.member(1).shard!.versions.record('x'));
    await done(grid, grid.member(1).shard!.versions.createBranch('try', 'x'));
    expect(await agreed(grid)).toBe(true);
    grid.member(3).node.crash();
    await done(grid, grid.member(1).shard!.versions.label(sequence, undefined));
    expect(await done(grid, grid.member(2).shard!.versions.deleteBranch('try'))).toBe(true);
    await grid.world.run(60_000);
    grid.member(3).node.restart();
    await grid.world.run(500);
    expect(await agreed(grid)).toBe(true);
    for (const shard of grid.shards) expect([labelsOf(shard), branchesOf(shard)]).toEqual([[], []]);
  });

  it('are refused by a replica that takes no writes', async () => {
    const grid = await started();
    await grid.record([voter(1), voter(2), learner(3, 1)], 2);
    const { versions } = grid.member(3).shard!;
    await expect(done(grid, versions.createBranch('try', 'now'))).rejects.toMatchObject({ code: 'NoLeader' });
    await expect(done(grid, versions.record('x'))).rejects.toMatchObject({ code: 'NoLeader' });
  });
});

describe('one branch that both sides of a partition change', () => {
  it('is there as both made it, and each can be merged', async () => {
    const grid = await started({ replicas: 2 });
    await filled(grid, 10);
    const [one, two] = [grid.member(1), grid.member(2)];
    await done(grid, one.shard!.versions.createBranch('try', 'now'));
    expect(await agreed(grid)).toBe(true);
    grid.network.isolate('n2');
    await grid.world.run(1500);
    await done(grid, one.shard!.versions.writeBranch('try', put('o1', { k: 'by one' })));
    await grid.world.run(50);
    await done(grid, two.shard!.versions.writeBranch('try', put('o2', { k: 'by two' })));
    grid.network.heal();
    expect(await agreed(grid)).toBe(true);
    for (const { shard } of [one, two]) {
      expect(branchesOf(shard!)).toEqual(['try', 'try.1']);
      expect(['o1', 'o2'].map((id) => textAt(shard!, 'try', id))).toEqual(['first', 'by two']);
      expect(['o1', 'o2'].map((id) => textAt(shard!, 'try.1', id))).toEqual(['by one', 'first']);
    }
    expect(await done(grid, two.shard!.versions.mergeBranch('try', 'list'))).toMatchObject({ objects: ['o2'] });
    expect(await done(grid, two.shard!.versions.mergeBranch('try.1', 'list'))).toMatchObject({
      ...{ objects: ['o1'], conflicts: [] },
    });
    expect(await grid.converge()).toBe(true);
    expect(['o1', 'o2'].map((id) => one.shard!.reader.value(id, 'k')?.data.toString())).toEqual(['by one', 'by two']);
  });
});

describe('replicas with the same labels and branches', () => {
  it('send each other nothing of them but their digest', async () => {
    const grid = await started({ replicas: 2 });
    await filled(grid, 200);
    const { versions } = grid.member(1).shard!;
    for (let i = 0; i < 20; i++) {
      await done(grid, versions.createBranch(`b${String(i)}`, 'now'));
      await done(grid, versions.writeBranch(`b${String(i)}`, put('o1', { k: String(i) })));
    }
    expect(await agreed(grid)).toBe(true);
    await grid.world.run(5000);
    const gave = grid.shards.map(({ refs }) => vi.spyOn(refs!, 'give'));
    const compared = (): number => grid.members.reduce((sum, { host }) => sum + (host?.counters.compared ?? 0), 0);
    const sent = (): number => grid.members.reduce((sum, member) => sum + member.sentBytes(), 0);
    const before = { bytes: sent(), compared: compared() };
    await grid.world.run(20_000);
    const rounds = compared() - before.compared;
    expect(rounds).toBeGreaterThan(10);
    expect((sent() - before.bytes) / rounds).toBeLessThan(300);
    for (const give of gave) expect(give).not.toHaveBeenCalled();
  });

  it('take over what a branch changed, and not what it has in common with what is here', async () => {
    const grid = await started({ replicas: 2 });
    await filled(grid, 3000);
    const { versions } = grid.member(1).shard!;
    await done(grid, versions.createBranch('try', 'now'));
    await grid.world.run(3000);
    const before = grid.member(1).sentBytes();
    await done(grid, versions.writeBranch('try', put('o1500', { k: 'branch' })));
    expect(branchesOf(grid.member(2).shard!)).toEqual(['try']);
    expect(textAt(grid.member(2).shard!, 'try', 'o1500')).toBe('branch');
    expect(grid.member(1).sentBytes() - before).toBeLessThan(20_000);
  });
});

describe('what a label names', () => {
  it('is kept for those that take it over, and not once more with each change', async () => {
    const grid = await started();
    const { shard } = grid.member(1);
    await set(grid, grid.member(1), 'a', '1');
    let pinned = 0;
    const pin = shard!.index.pin.bind(shard!.index);
    vi.spyOn(shard!.index, 'pin').mockImplementation((root) => {
      const unpin = pin(root);
      pinned += 1;
      return () => {
        pinned -= 1;
        unpin();
      };
    });
    await done(grid, shard!.versions.createBranch('try', 'now'));
    for (let i = 0; i < 30; i++) await done(grid, shard!.versions.writeBranch('try', put('a', { k: String(i) })));
    // Two others with the branch and its base each, and what is compared just now.
    expect(pinned).toBeGreaterThan(0);
    expect(pinned).toBeLessThan(10);
    await grid.world.run(70_000);
    expect(pinned).toBeLessThan(5);
  });

  it('stays although it came to the main line after the takeover had begun, and was replaced before its end', async () => {
    const grid = await started({ replicas: 2, tuning: { gossipMs: 5000, idleGossipMs: 8000 } });
    await filled(grid, 20);
    const [one, two] = [grid.member(1), grid.member(2)];
    const dropped = vi.spyOn(two.shard!, 'merge').mockResolvedValue(true);
    await set(grid, one, 'o1', 'labelled');
    await grid.world.run(50);
    dropped.mockRestore();
    const bring = (): Promise<boolean> =>
      two.shard!.merge(Buffer.from(one.shard!.take(['o1', 'o1\u0000k'], 1_000_000).states));
    const { refs } = two.shard!;
    const take = refs!.take.bind(refs);
    vi.spyOn(refs!, 'take').mockImplementation(async (bytes) => {
      const takeover = await take(bytes);
      await bring();
      return {
        ...takeover,
        save: async (leaves) => {
          expect(await takeover.save(leaves)).toEqual([]);
          return [];
        },
        finish: async () => {
          await one.shard!.mutate(put('o1', { k: 'later' }));
          await bring();
          await takeover.finish();
        },
      };
    });
    await done(grid, one.shard!.versions.record('x'));
    const { shard } = two;
    expect(shard!.reader.value('o1', 'k')?.data.toString()).toBe('later');
    expect(textAt(shard!, 'x', 'o1')).toBe('labelled');
  });
});

describe('a replica that crashes while it takes over labels and branches', () => {
  it.each(['put', 'save', 'keep', 'finish'] as const)(
    'when it comes to %s something, shows none of them before all that they name is there, and all in the end',
    async (what) => {
      const grid = await started({ replicas: 2, writeMs: 5 });
      await filled(grid, 400);
      const [one, two] = [grid.member(1), grid.member(2)];
      two.node.crash();
      const changed = Array.from({ length: 300 }, (_, i) => one.shard!.mutate(put(`o${String(i)}`, { k: 'labelled' })));
      await done(grid, Promise.all(changed));
      await done(grid, one.shard!.versions.record('x'));
      // By what is on the main line then, nothing of what it names comes.
      const again = Array.from({ length: 400 }, (_, i) => one.shard!.mutate(put(`o${String(i)}`, { k: 'later' })));
      await done(grid, Promise.all(again));
      await grid.world.run(50);
      two.node.restart();
      await grid.world.run(20);
      const { refs } = two.shard!;
      const take = refs!.take.bind(refs);
      let isThere = false;
      vi.spyOn(refs!, 'take').mockImplementation(async (bytes) => {
        const takeover = await take(bytes);
        return new Proxy(takeover, {
          get: (target, name) => {
            if (name === what) isThere = true;
            return Reflect.get(target, name) as unknown;
          },
        });
      });
      expect(await grid.world.until(() => isThere, 20_000)).toBe(true);
      await grid.world.run(2);
      two.node.crash();
      await grid.world.run(100);
      two.node.restart();
      await grid.world.run(20);
      // Whenever it has the label, what it names can be read.
      expect(
        await grid.world.until(() => {
          const isNamed = labelsOf(two.shard!).includes('x');
          if (isNamed) expect(textAt(two.shard!, 'x', 'o7')).toBe('labelled');
          return isNamed;
        }, 20_000),
      ).toBe(true);
      const all = Array.from({ length: 400 }, (_, i) => textAt(two.shard!, 'x', `o${String(i)}`));
      expect(all).toEqual(all.map((_, i) => (i < 300 ? 'labelled' : 'first')));
    },
  );
});
