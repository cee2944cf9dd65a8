import { beforeEach, describe, expect, it } from 'vitest';
import { contentOf, EventualGrid, put } from '../../../testkit/eventual.ts';

describe('a replica whose clock was ahead by a minute, and is put right', () => {
  let grid: EventualGrid;
  const write = (member: number, id: string): Promise<string> =>
    grid
      .member(member)
      .shard!.mutate(put(id, { a: id }))
      .then(
        () => 'stored',
        (error: unknown) => (error as Error).message,
      );
  const settled = async (answer: Promise<string>): Promise<string> => {
    await grid.world.run(500);
    return answer;
  };

  beforeEach(async () => {
    grid = new EventualGrid({ seed: 1, replicas: 3 });
    grid.start();
    await grid.world.run(5000);
    grid.member(1).node.jumpClock(60_000);
    expect(await settled(write(1, 'ahead'))).toBe('stored');
    grid.member(1).node.jumpClock(-60_000);
  });

  it('acknowledges nothing that others would not take, says why, and leaves the writes to them', async () => {
    const { shard } = grid.member(1);
    expect(await settled(write(1, 'late'))).toMatch(
      /^this replica takes no writes: the clock was set back after writes: other replicas would not take what is written here for 5\d\.\d s$/,
    );
    expect(shard?.isPrimary).toBe(false);
    expect(shard?.isReadable).toBe(true);
    expect(shard?.status().problem).toContain('the clock was set back');
    expect(await settled(write(2, 'other'))).toBe('stored');
    await grid.world.run(5000);
    expect(grid.shards.map(({ reader }) => contentOf(reader).has('other'))).toEqual([true, true, true]);
  });

  it('also after a restart, by the stamps that are stored', async () => {
    grid.member(1).node.crash();
    grid.member(1).node.restart();
    await grid.world.run(2000);
    expect(await settled(write(1, 'late'))).toContain('the clock was set back');
  });

  it('takes writes again once its clock has come there, and the others have what it alone had', async () => {
    await grid.world.run(60_000);
    expect(grid.member(1).shard?.status().problem).toBeUndefined();
    expect(await settled(write(1, 'late'))).toBe('stored');
    expect(await grid.converge()).toBe(true);
    for (const { reader } of grid.shards) expect([...contentOf(reader).keys()].sort()).toEqual(['ahead', 'late']);
  });
});
