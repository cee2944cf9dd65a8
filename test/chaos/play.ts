import { eventually, seededRandom } from '@oaas/commons/testkit';
import type { Random } from '@oaas/commons/time';
import { NodeClients } from './clients.ts';
import { collections, merging, partitions, replicas } from './collections.ts';
import { Contest } from './contest.ts';
import { faultNames, rage, type Storm } from './faults.ts';
import { ChaosGrid } from './grid.ts';
import { Ledger } from './ledger.ts';
import { Registers } from './registers.ts';
import { pause, progressMs, type Workload } from './workload.ts';

export interface ChaosOptions {
  readonly seed: number;
  /** Default: 3 or 5, by the seed. */
  readonly nodes?: number | undefined;
  /** How long faults go on, in milliseconds. Default: 20 to 40 seconds, by the seed. */
  readonly faultyMs?: number | undefined;
  /** Empty, and left with logs and data of the nodes. */
  readonly directory: string;
  readonly program: readonly string[];
  readonly say: (line: string) => void;
}

export interface ChaosResult {
  readonly nodes: number;
  readonly faults: number;
  readonly operations: number;
  /** Changes of objects that replicas merge. */
  readonly merged: number;
  readonly acknowledged: number;
  /** What could not be decided. */
  readonly doubts: readonly string[];
}

export interface MergingWorkloads {
  readonly contests: readonly Contest[];
  readonly ledgers: readonly Ledger[];
}

/** Of the collections whose replicas merge. */
export function mergingWorkloads(clients: NodeClients, random: Random): MergingWorkloads {
  const shared = { clients, random, partitions };
  return {
    contests: merging.map((collection) => new Contest({ ...shared, collection, replicas })),
    ledgers: merging.map((collection) => new Ledger({ ...shared, collection, writers: 1, thinkMs: 40 })),
  };
}

/** Faults by seed under load, then a healed grid that must go on and must have kept what it promised. Rejects if not. */
export async function playChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, directory, program, say } = options;
  // Of its own for each who draws, so that who is faster does not change what the others do.
  const chance = (who: number): Random => seededRandom(seed * 16 + who);
  const random = chance(0);
  const nodes = options.nodes ?? (random.next() < 0.5 ? 3 : 5);
  const faultyMs = options.faultyMs ?? 20_000 + random.next() * 20_000;
  const storm = chooseStorm(random);
  say(`seed ${String(seed)}: ${String(nodes)} nodes, ${String(storm.hands)} hands: ${storm.kinds.join(', ')}`);
  const grid = await ChaosGrid.start({ nodes, directory, collections, program, smallDisk: true });
  const clients = new NodeClients(grid);
  try {
    const registers = new Registers({ clients, random: chance(1), collection: 'registers', partitions });
    const ledger = new Ledger({ clients, random: chance(2), collection: 'ledger', partitions });
    const { contests, ledgers } = mergingWorkloads(clients, chance(6));
    const workloads = [registers, ledger, ...contests, ...ledgers];
    for (const workload of workloads) workload.start();
    await underLoad(workloads, operationsBefore);
    const faults = await rage(grid, storm, (hand) => chance(3 + hand), faultyMs, say);
    const doubts = await settle(grid, workloads);
    const sum = (all: readonly Workload[]): number => all.reduce((total, { done }) => total + done, 0);
    const acknowledged = sum([ledger, ...ledgers]);
    return { nodes, faults, operations: registers.done, merged: sum(contests), acknowledged, doubts };
  } finally {
    clients.close();
    await grid.stop();
  }
}

/** Operations of each workload before the faults of a storm begin, however slow the machine is. */
const operationsBefore = 100;

/** Resolves when each of them has done more than so many operations from now on. */
export async function underLoad(workloads: readonly Workload[], operations: number): Promise<void> {
  const before = workloads.map(({ done }) => done);
  const isLoaded = () => workloads.every(({ done }, i) => done > (before[i] ?? 0) + operations);
  await eventually(isLoaded, { timeoutMs: progressMs });
}

/** Each kind is on or off by itself: a run with all of them seldom gets deep anywhere. */
function chooseStorm(random: Random): Storm {
  const kinds = faultNames.filter(() => random.next() < 0.5);
  return {
    kinds: kinds.length === 0 ? faultNames : kinds,
    hands: 1 + Math.floor(random.next() * 3),
    restMs: 200 + random.next() * 2000,
  };
}

/** Heals the grid and demands all that was promised. */
export async function settle(grid: ChaosGrid, workloads: readonly Workload[]): Promise<readonly string[]> {
  await grid.heal();
  // Not before: what writes on would hide a grid that has stopped.
  await Promise.all(workloads.map((workload) => workload.stop()));
  await Promise.all(workloads.map((workload) => workload.demandProgress()));
  // Replicas that merge are alike before any of them may be asked for what another one took.
  for (const { name } of collections) await demandConsistency(grid, name);
  const doubts = (await Promise.all(workloads.map((workload) => workload.check()))).flat();
  for (const id of grid.ids) assertSane(id, grid.outputOf(id));
  return doubts;
}

/** Nothing that faults of these kinds may lead to: files are never damaged here, and no program is wrong. */
function assertSane(id: string, output: string): void {
  const bad = output
    .split('\n')
    .find((line) => /StorageCorrupt|DataLoss|"code":"Internal"|is not to be trusted/.test(line));
  if (bad !== undefined) throw new Error(`${id} says: ${bad.slice(0, 1000)}`);
}

interface Check {
  readonly state: string;
  readonly message: string;
  readonly checks: readonly { readonly status: string }[];
}

const good = new Set(['consistent', 'converged']);

/** A deep check finds all replicas alike. One that could not decide, or not yet, is made again. */
async function demandConsistency(grid: ChaosGrid, collection: string): Promise<void> {
  const task = await eventually(
    async () => {
      const path = `/admin/collections/${collection}/consistency-check?mode=deep`;
      const { task_id: id } = await grid.admin<{ task_id: string }>(path, 'POST');
      for (;;) {
        const check = await grid.admin<Check>(`/admin/tasks/${id}`);
        const statuses = check.checks.map(({ status }) => status);
        if (statuses.includes('inconsistent')) return check;
        if (check.state === 'running') await pause(50);
        else if (statuses.length === partitions && statuses.every((status) => good.has(status))) return check;
        else throw new Error(`collection ${collection}: ${check.message}: ${JSON.stringify(check.checks)}`);
      }
    },
    { timeoutMs: 60_000, intervalMs: 500 },
  );
  const bad = task.checks.filter(({ status }) => status === 'inconsistent');
  if (bad.length > 0) throw new Error(`collection ${collection}: ${task.message}: ${JSON.stringify(bad)}`);
}
