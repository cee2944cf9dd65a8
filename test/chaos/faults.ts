import type { Random } from '@oaas/commons/time';
import { proxyClient } from '@oaas/odgm/testkit';
import { agreeing, collections, partitions } from './collections.ts';
import type { ChaosGrid } from './grid.ts';
import { pause } from './workload.ts';

/** Something bad that happens to a grid and is undone after a while. */
export interface Fault {
  readonly name: string;
  /** How long it lasts at most; at least a tenth of it. */
  readonly lastsMs: number;
  /** Undefined: it cannot be done here. Otherwise what undoes it, and may be called at any later state of the grid. */
  begin(grid: ChaosGrid, random: Random): Promise<(() => Promise<void>) | undefined>;
}

const below = (random: Random, count: number): number => Math.floor(random.next() * count);
const oneOf = <T>(random: Random, values: readonly T[]): T => values[below(random, values.length)] as T;

function someOf(random: Random, ids: readonly string[], count: number): string[] {
  const left = [...ids];
  return Array.from({ length: count }, () => left.splice(below(random, left.length), 1)).flat();
}

const pairOf = (random: Random, ids: readonly string[]): [string, string] => someOf(random, ids, 2) as [string, string];

function killing(name: string, lastsMs: number, choose: (grid: ChaosGrid, random: Random) => string[]): Fault {
  return {
    name,
    lastsMs,
    begin: async (grid, random) => {
      const ids = choose(grid, random);
      await grid.kill(ids);
      return () => grid.startNodes(ids);
    },
  };
}

/** A fault of the network, which the same pair's next one may undo earlier. */
function cutting(name: string, cut: (grid: ChaosGrid, random: Random) => readonly [string, string]): Fault {
  return {
    name,
    lastsMs: 5000,
    begin: (grid, random) => {
      const [a, b] = cut(grid, random);
      return Promise.resolve(() => {
        grid.proxy.heal(a, b);
        return Promise.resolve();
      });
    },
  };
}

const majorityOf = ({ ids }: ChaosGrid): number => Math.floor(ids.length / 2) + 1;

export const faults = {
  killOne: killing('kill one', 3000, ({ ids }, random) => someOf(random, ids, 1)),
  killMajority: killing('kill a majority', 3000, (grid, random) => someOf(random, grid.ids, majorityOf(grid))),
  killAll: killing('kill all at once', 500, ({ ids }) => [...ids]),
  killLeader: {
    name: 'kill a leader',
    lastsMs: 3000,
    begin: async (grid, random) => {
      const leader = await grid.leaderOf(oneOf(random, agreeing), 0).catch(() => undefined);
      if (leader === undefined) return undefined;
      await grid.kill([leader]);
      return () => grid.startNodes([leader]);
    },
  },
  pause: {
    name: 'stop a process and let it go on',
    lastsMs: 6000,
    begin: (grid, random) => {
      const id = oneOf(random, grid.ids);
      grid.pause(id);
      return Promise.resolve(() => {
        grid.resume(id);
        return Promise.resolve();
      });
    },
  },
  pauseLeader: {
    name: 'stop a leader and let it go on',
    lastsMs: 6000,
    begin: async (grid, random) => {
      const leader = await grid.leaderOf(oneOf(random, agreeing), 0).catch(() => undefined);
      if (leader === undefined) return undefined;
      grid.pause(leader);
      return () => {
        grid.resume(leader);
        return Promise.resolve();
      };
    },
  },
  reset: cutting('reset the links of a pair', (grid, random) => {
    const [a, b] = pairOf(random, grid.ids);
    grid.proxy.cut(a, b);
    return [a, b];
  }),
  blackhole: cutting('lose all between a pair', (grid, random) => {
    const [a, b] = pairOf(random, grid.ids);
    grid.proxy.blackhole(a, b);
    return [a, b];
  }),
  oneWay: cutting('lose all that one sends to another', (grid, random) => {
    const [a, b] = pairOf(random, grid.ids);
    grid.proxy.blackholeOneWay(a, b);
    return [a, b];
  }),
  delay: cutting('slow the links of a pair down', (grid, random) => {
    const [a, b] = pairOf(random, grid.ids);
    grid.proxy.delay(a, b, 20 + below(random, 400));
    return [a, b];
  }),
  isolate: {
    name: 'cut one off',
    lastsMs: 6000,
    begin: (grid, random) => {
      const id = oneOf(random, grid.ids);
      grid.isolate(id);
      return Promise.resolve(() => {
        grid.proxy.heal(id);
        return Promise.resolve();
      });
    },
  },
  deafen: {
    name: 'lose all that is sent to one, or all that it sends',
    lastsMs: 6000,
    begin: (grid, random) => {
      const id = oneOf(random, grid.ids);
      const hears = random.next() < 0.5;
      for (const other of grid.ids) {
        if (other === id) continue;
        if (hears) grid.proxy.blackholeOneWay(id, other);
        else grid.proxy.blackholeOneWay(other, id);
      }
      if (!hears) grid.proxy.blackhole(proxyClient, id);
      return Promise.resolve(() => {
        grid.proxy.heal(id);
        return Promise.resolve();
      });
    },
  },
  slowDisk: {
    name: 'slow a disk down',
    lastsMs: 5000,
    begin: (grid, random) => {
      const id = oneOf(random, grid.ids);
      grid.slow(id, 20 + below(random, 1000));
      return Promise.resolve(() => {
        grid.slow(id, 0);
        return Promise.resolve();
      });
    },
  },
  fullDisk: {
    name: 'fill a disk',
    lastsMs: 6000,
    begin: (grid) => {
      const { disk } = grid;
      if (disk === undefined) return Promise.resolve(undefined);
      disk.fill();
      return Promise.resolve(() => {
        disk.free();
        return Promise.resolve();
      });
    },
  },
  /** No fault, but it moves what they hit: the replica is made anew from the others, by a task. */
  remake: {
    name: 'make a replica anew',
    lastsMs: 500,
    begin: async (grid, random) => {
      const { name } = oneOf(random, collections);
      const at = `collection=${name}&partition=${String(below(random, partitions))}`;
      await grid.admin(`/admin/members/${oneOf(random, grid.ids)}/repair?${at}`, 'POST').catch(() => undefined);
      return () => Promise.resolve();
    },
  },
  rebalance: {
    name: 'rebalance',
    lastsMs: 500,
    begin: async (grid) => {
      await grid.admin('/admin/rebalance', 'POST').catch(() => undefined);
      return () => Promise.resolve();
    },
  },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;
export const faultNames = Object.keys(faults) as FaultName[];

/** What one seed does to a grid: each of these faults about equally often, so many of them at a time. */
export interface Storm {
  readonly kinds: readonly FaultName[];
  readonly hands: number;
  /** Mean rest of a hand between two faults. */
  readonly restMs: number;
}

/** Runs a storm for so long, each hand with chance of its own. Faults that are under way at the end are not undone: the grid is healed as a whole. */
export async function rage(
  grid: ChaosGrid,
  storm: Storm,
  chance: (hand: number) => Random,
  forMs: number,
  say: (line: string) => void,
): Promise<number> {
  const begun = performance.now();
  const isOver = (): boolean => performance.now() - begun >= forMs;
  let count = 0;
  const hand = async (random: Random): Promise<void> => {
    while (!isOver()) {
      await pause(Math.min(forMs, -Math.log(1 - random.next()) * storm.restMs));
      if (isOver()) return;
      const fault: Fault = faults[oneOf(random, storm.kinds)];
      const undo = await fault.begin(grid, random);
      if (undo === undefined) continue;
      count += 1;
      const lastsMs = fault.lastsMs * (0.1 + 0.9 * random.next());
      say(`${((performance.now() - begun) / 1000).toFixed(1)} s: ${fault.name}, for ${lastsMs.toFixed(0)} ms`);
      await pause(Math.min(lastsMs, forMs));
      if (!isOver()) await undo();
    }
  };
  await Promise.all(Array.from({ length: storm.hands }, (_, i) => hand(chance(i))));
  return count;
}
