import { seededRandom } from '@oaas/commons/testkit';
import { contentOf, EventualGrid, put } from './eventual.ts';

interface Known {
  readonly id: string;
  state: 'written' | 'deleting' | 'deleted';
}

/** What a storm did, so that a test can see that it did something. */
export interface StormReport {
  readonly deleted: number;
  /** Replicas that had reaped up to some stamp in the end. */
  readonly reaped: number;
}

/**
 * A while of writes, deletes, faults of the network, pauses and crashes; then peace, until all tombstones are
 * reaped. Throws when the replicas do not end alike, when an acknowledged write is lost, or a deleted object is back.
 */
export async function storm(seed: number): Promise<StormReport> {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random.next() * count);
  const grid = new EventualGrid({ seed, type: pick(2) === 0 ? 'basic' : 'mst', graceMs: 400 });
  grid.start();
  await grid.world.run(50);
  const known: Known[] = [];
  let ids = 0;
  grid.network.setFaults({
    ...{ loss: pick(3) * 0.04, duplication: pick(3) * 0.05, reorders: pick(2) === 0, resets: pick(3) * 0.005 },
    ...{ delay: { minMs: 0.1, meanMs: 1 + pick(20), maxMs: 200 }, bytesPerMs: Infinity },
  });
  for (let step = 0; step < 40; step++) {
    const member = grid.member(1 + pick(3));
    const what = pick(20);
    if (what < 8) {
      const id = `u${String((ids += 1))}`;
      const { shard } = member;
      shard?.mutate(put(id, { a: id, b: String(step) })).then(
        () => known.push({ id, state: 'written' }),
        () => undefined,
      );
    } else if (what < 11) {
      member.shard
        ?.mutate(put(`hot${String(pick(3))}`, { [`k${String(pick(3))}`]: String(step) }, pick(3) === 0))
        .catch(() => undefined);
    } else if (what < 15) {
      const victim = known[pick(Math.max(1, known.length))];
      if (victim?.state === 'written' && member.shard?.reader.meta(victim.id) !== undefined) {
        victim.state = 'deleting';
        member.shard.mutate({ type: 'delete', objectId: victim.id }).then(
          () => (victim.state = 'deleted'),
          () => undefined,
        );
      }
    } else if (what === 15) {
      if (member.node.isUp) member.node.crash();
      else member.node.restart();
    } else if (what === 16) {
      grid.network.partition(pick(2) === 0 ? [['n1'], ['n2', 'n3']] : [['n1', 'n2'], ['n3']]);
    } else if (what === 17) {
      grid.network.heal();
    } else if (what === 18) {
      member.node.jumpClock(pick(3000) - 1500);
    } else {
      const other = grid.member(1 + pick(3));
      if (other !== member) grid.network.cutOneWay(member.node.id, other.node.id);
    }
    await grid.world.run(pick(120));
  }
  for (const { node } of grid.members) if (!node.isUp) node.restart();
  grid.network.heal();
  grid.network.setFaults({
    ...{ loss: 0, duplication: 0, reorders: false, resets: 0, bytesPerMs: Infinity },
    delay: { minMs: 0.1, meanMs: 0.3, maxMs: 5 },
  });
  if (!(await grid.converge())) throw new Error(`seed ${String(seed)}: replicas do not end alike`);
  // Long enough for all tombstones to be reaped.
  await grid.world.run(4000);
  if (!(await grid.converge())) throw new Error(`seed ${String(seed)}: replicas are not alike after reaping`);
  const [first, ...others] = grid.shards.map(({ reader }) => contentOf(reader));
  const check = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`seed ${String(seed)}: ${what}`);
  };
  check(grid.shards.length === 3, 'a replica is missing');
  for (const other of others) check(textOf(other) === textOf(first), 'clients see different objects');
  for (const { id, state } of known) {
    if (state === 'deleted') check(first?.has(id) === false, `${id} is back`);
    if (state === 'written') check(first?.get(id)?.includes(`a=${id}`) === true, `${id} is lost`);
  }
  const counted = grid.shards.map(({ counters }) => JSON.stringify(counters));
  check(new Set(counted).size === 1, 'counters differ');
  return {
    deleted: known.filter(({ state }) => state === 'deleted').length,
    reaped: grid.shards.filter(({ cut }) => cut.ms > 0).length,
  };
}

function textOf(content: ReadonlyMap<string, string> | undefined): string {
  return JSON.stringify([...(content ?? [])]);
}
