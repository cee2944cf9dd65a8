import { join } from 'node:path';
import { eventually, seededRandom, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NodeClients } from './clients.ts';
import { collections, partitions } from './collections.ts';
import { type FaultName, faults } from './faults.ts';
import { ChaosGrid } from './grid.ts';
import { Ledger } from './ledger.ts';
import { mergingWorkloads, playChaos, settle, underLoad } from './play.ts';
import { buildNode } from './program.ts';
import { Registers } from './registers.ts';
import { pause, type Workload } from './workload.ts';

/** Real processes, real sockets with a proxy on every link, real files. The long runs are `npm run chaos`. */
let directory: TempDir;
let program: readonly string[];

beforeAll(async () => {
  directory = await tempDir('oaas-chaos-');
  program = await buildNode(directory.path);
});
afterAll(async () => {
  await directory.remove();
});

const longTest = 120_000;

describe('three nodes under load', () => {
  let grid: ChaosGrid;
  let clients: NodeClients;
  let registers: Registers;
  let ledger: Ledger;
  let merging: readonly Workload[];
  const random = seededRandom(1);

  beforeAll(async () => {
    grid = await ChaosGrid.start({
      ...{ nodes: 3, directory: join(directory.path, 'three'), collections, program, smallDisk: true },
    });
    clients = new NodeClients(grid);
    // The same ones in all scenes: what one of them acknowledged is still there after the next.
    registers = new Registers({ clients, random, collection: 'registers', partitions });
    ledger = new Ledger({ clients, random, collection: 'ledger', partitions, thinkMs: 3, bytesMax: 65_536 });
    const { contests, ledgers } = mergingWorkloads(clients, random);
    merging = [...contests, ...ledgers];
  }, longTest);
  afterAll(async () => {
    clients.close();
    await grid.stop();
  });

  it(
    'answer a write no sooner than the disks of a majority are done with it, however slow those are',
    async () => {
      const flushMs = 1000;
      let i = 0;
      const setMs = async (): Promise<number> => {
        const begun = performance.now();
        const at = { clsId: 'registers', partitionId: 0, objectId: `slow${String((i += 1))}`, key: 'k' };
        await clients.any(random).setValue({ ...at, value: { data: Buffer.from('x') } });
        return performance.now() - begun;
      };
      await setMs();
      for (const id of grid.ids.slice(0, 2)) grid.slow(id, flushMs);
      // The disks are slow as soon as the nodes have heard so.
      await eventually(async () => (await setMs()) >= flushMs);
      // A timer of the node may be early by the rounding of a millisecond.
      for (let more = 0; more < 2; more++) expect(await setMs()).toBeGreaterThan(flushMs - 2);
      for (const id of grid.ids) grid.slow(id, 0);
    },
    longTest,
  );

  const scenes: [what: string, steps: FaultName[]][] = [
    ['one is killed, then the one that leads, then two at once', ['killOne', 'killLeader', 'killMajority']],
    ['all are killed at once, twice', ['killAll', 'killAll']],
    ['one is stopped by a signal and goes on later, then has a slow disk', ['pauseLeader', 'slowDisk']],
    ['links break, one way and both ways', ['reset', 'oneWay', 'deafen', 'isolate']],
    ['a disk is full', ['fullDisk']],
  ];
  it.for(scenes)(
    'keep every acknowledged write, stay linearizable or become alike when %s',
    { timeout: longTest },
    async ([, steps], context) => {
      if (steps.includes('fullDisk') && grid.disk === undefined)
        context.skip('mounting a tmpfs needs the right to do so');
      const workloads = [registers, ledger, ...merging];
      for (const workload of workloads) workload.start();
      await underLoad(workloads, 20);
      for (const step of steps) {
        const undo = await faults[step].begin(grid, random);
        // What the journal has room for already is written first.
        if (step === 'fullDisk') {
          await eventually(() => /no space|StorageFull/i.test(grid.outputOf('n1')), { timeoutMs: 60_000 });
        } else await pause(700);
        await undo?.();
        await pause(300);
      }
      expect(await settle(grid, workloads)).toEqual([]);
    },
  );
});

describe('five nodes', () => {
  // What a seed draws from changes with the list of faults: then others have to be chosen.
  const storms: [seed: number, faultyMs: number, kinds: FaultName[]][] = [
    [3, 6000, ['killMajority', 'pauseLeader', 'remake']],
    [57, 9000, ['killLeader', 'slowDisk', 'fullDisk']],
  ];
  it.for(storms)('keep what they promised through a storm of faults: seed %d', { timeout: longTest }, async (storm) => {
    const [seed, faultyMs, kinds] = storm;
    const lines: string[] = [];
    const say = (line: string): void => {
      lines.push(line);
    };
    const options = { seed, nodes: 5, faultyMs, program, say };
    const result = await playChaos({ ...options, directory: join(directory.path, `five-${String(seed)}`) });
    for (const kind of kinds) expect(lines[0]).toContain(kind);
    // How many more fit into the time is the machine's affair.
    expect(result.faults).toBeGreaterThan(0);
    expect(Math.min(result.operations, result.merged, result.acknowledged)).toBeGreaterThan(100);
    expect(result.doubts).toEqual([]);
  });
});
