import { describe, expect, it } from 'vitest';
import { EventualGrid, put } from '../../../testkit/eventual.ts';

/** Two replicas that have the same `count` objects, and nothing left to tell each other. */
async function settled(count: number): Promise<EventualGrid> {
  const grid = new EventualGrid({ seed: 7, replicas: 2 });
  grid.start();
  await grid.world.run(400);
  const shard = grid.member(1).shard!;
  const written = Array.from({ length: count }, (_, i) => shard.mutate(put(`o${String(i)}`, { a: 'x'.repeat(100) })));
  await grid.world.run(1000);
  await Promise.all(written);
  expect(await grid.converge()).toBe(true);
  await grid.world.run(5000);
  return grid;
}

function sentBytes(grid: EventualGrid): number {
  return grid.members.reduce((sum, member) => sum + member.sentBytes(), 0);
}

/** Bytes until both are alike again, when `count` objects were written while they were apart. */
async function bytesFor(count: number, objects = 4000): Promise<number> {
  const grid = await settled(objects);
  grid.network.partition([['n1'], ['n2']]);
  await grid.world.run(1500);
  // A restart forgets what was to be sent: what is found then was found by comparing trees.
  const shard = grid.member(1).shard!;
  const written = Array.from({ length: count }, (_, i) =>
    shard.mutate(put(`o${String(i * 37)}`, { a: `new ${String(i)}` })),
  );
  await grid.world.run(500);
  await Promise.all(written);
  grid.member(1).node.crash();
  grid.network.heal();
  const before = sentBytes(grid);
  grid.member(1).node.restart();
  expect(await grid.converge()).toBe(true);
  expect(grid.shards[1]!.reader.value('o0', 'a')?.data.length).toBeLessThan(10);
  return sentBytes(grid) - before;
}

describe('what replicas send each other', () => {
  it('is nothing but a root each, as long as they are equal', async () => {
    const grid = await settled(2000);
    const compared = (): number => grid.members.reduce((sum, { host }) => sum + (host?.counters.compared ?? 0), 0);
    const before = { bytes: sentBytes(grid), compared: compared() };
    await grid.world.run(20_000);
    const rounds = compared() - before.compared;
    expect(rounds).toBeGreaterThan(10);
    // Two announcements with their frames, and the pings of the link.
    expect((sentBytes(grid) - before.bytes) / rounds).toBeLessThan(300);
    expect(grid.members.every(({ host }) => host?.counters.exchanges === 0)).toBe(true);
  });

  it('grows with what differs, and not with what they have', async () => {
    const [ten, hundred] = [await bytesFor(10), await bytesFor(100)];
    const perEntry = 2500;
    expect(ten).toBeLessThan(10 * perEntry);
    expect(hundred).toBeLessThan(100 * perEntry);
    expect(await bytesFor(10, 8000)).toBeLessThan(ten * 1.6);
  }, 30_000);
});
