import { EventualGrid, put } from '@oaas/odgm/testkit/eventual';
import type { Figure } from './throughput.ts';

const objects = 20_000;
const value = 'x'.repeat(1024);
/** Written at once: a shard lets no more wait. */
const atOnce = 4000;
/** Two announcements with their frames, and the pings of the link. */
const mostBytesOfRound = 300;
/** The object, and the pages on the way to it when no other difference shares them. */
const mostBytesOfDifference = 8 * 1024;

/**
 * What two replicas send each other to become alike, each difference found by comparing trees. On simulated time and
 * network, which count every byte; nothing here depends on the machine.
 */
export async function divergence(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const type of ['basic', 'mst'] as const) {
    const grid = new EventualGrid({ seed: 7, replicas: 2, type });
    grid.start();
    await grid.world.run(400);
    await write(grid, objects, '');
    await settle(grid);
    figures.push(await equal(grid, type));
    for (const [percent, count] of [
      [0.1, objects / 1000],
      [10, objects / 10],
    ] as const) {
      figures.push(...(await apart(grid, type, percent, count)));
    }
  }
  return figures;
}

async function equal(grid: EventualGrid, type: string): Promise<Figure> {
  const compared = (): number => grid.members.reduce((sum, { host }) => sum + (host?.counters.compared ?? 0), 0);
  const before = { bytes: sentBytes(grid), compared: compared() };
  await grid.world.run(20_000);
  const bytes = (sentBytes(grid) - before.bytes) / (compared() - before.compared);
  const bar = { text: 'nothing but a root each', met: bytes < mostBytesOfRound };
  return { name: `${type}, ${objects} objects of 1 KiB, equal: bytes of a comparison`, value: bytes, unit: '', bar };
}

/** One replica takes writes while it is alone, and forgets in a restart what it was to send. */
async function apart(grid: EventualGrid, type: string, percent: number, count: number): Promise<Figure[]> {
  grid.network.partition([['n1'], ['n2']]);
  await grid.world.run(1500);
  await write(grid, count, String(percent));
  grid.member(1).node.crash();
  grid.network.heal();
  const before = sentBytes(grid);
  grid.member(1).node.restart();
  await settle(grid);
  const bytes = sentBytes(grid) - before;
  const name = `${type}, ${percent} % differ`;
  const each = bytes / count;
  const bar = { text: `< ${mostBytesOfDifference / 1024} KiB`, met: each < mostBytesOfDifference };
  return [
    { name: `${name}: sent until they are equal`, value: bytes / 2 ** 20, unit: 'MiB' },
    { name: `${name}: bytes for each object that differs`, value: each, unit: '', bar },
  ];
}

async function write(grid: EventualGrid, count: number, what: string): Promise<void> {
  const { shard } = grid.member(1);
  if (shard === undefined) throw new Error('there is no replica');
  for (let from = 0; from < count; from += atOnce) {
    const written = Array.from({ length: Math.min(atOnce, count - from) }, (_, i) =>
      // Spread over all of them.
      shard.mutate(put(`o${((from + i) * 7919) % objects}`, { a: what + value.slice(what.length) })),
    );
    await grid.world.run(500);
    await Promise.all(written);
  }
}

async function settle(grid: EventualGrid): Promise<void> {
  if (!(await grid.converge())) throw new Error('the replicas did not become alike');
  await grid.world.run(2000);
}

function sentBytes(grid: EventualGrid): number {
  return grid.members.reduce((sum, member) => sum + member.sentBytes(), 0);
}
