// npm run chaos -- [--seed N] [--minutes M | --seeds K] [--nodes 3|5] [--seconds S] [--mutation NAME]
// Real node processes under faults that are drawn from the seed: fresh seeds from N upwards, until M minutes are over.
// With a mutation (of test/simulation/mutations.ts) the nodes have that bug, which the run should find.
// What a seed does to the grid is repeated by it; how the processes take it is not.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { tempDir } from '@oaas/commons/testkit';
import { mutations } from '../simulation/mutations.ts';
import type { Mutation } from '../simulation/patch.ts';
import { playChaos } from './play.ts';
import { buildNode } from './program.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    seeds: { type: 'string' },
    nodes: { type: 'string' },
    seconds: { type: 'string' },
    mutation: { type: 'string' },
  },
});

const numberOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));
const count = numberOf(values.seeds) ?? (values.minutes === undefined ? 1 : Infinity);
const end = performance.now() + (numberOf(values.minutes) ?? Infinity) * 60_000;
const seconds = numberOf(values.seconds);

function chosenMutation(): Mutation | undefined {
  const { mutation } = values;
  if (mutation === undefined) return undefined;
  const found = mutations.find(({ name }) => name.includes(mutation));
  if (found === undefined) throw new Error(`there is no mutation "${mutation}"`);
  return found;
}

async function run(directoryOfProgram: string): Promise<boolean> {
  const program = await buildNode(directoryOfProgram, chosenMutation());
  const sum = { seeds: 0, faults: 0, operations: 0, merged: 0, acknowledged: 0, doubts: 0 };
  const say = (line: string): void => console.log(line);
  for (let seed = Number(values.seed); sum.seeds < count && performance.now() < end; seed += 1) {
    const directory = await tempDir('oaas-chaos-');
    const options = { seed, program, say, directory: join(directory.path, 'grid') };
    const faultyMs = seconds === undefined ? undefined : seconds * 1000;
    try {
      const result = await playChaos({ ...options, nodes: numberOf(values.nodes), faultyMs });
      sum.seeds += 1;
      sum.faults += result.faults;
      sum.operations += result.operations;
      sum.merged += result.merged;
      sum.acknowledged += result.acknowledged;
      sum.doubts += result.doubts.length;
      for (const doubt of result.doubts) say(`undecided: ${doubt}`);
    } catch (error) {
      console.error(`\nseed ${String(seed)} failed: ${error instanceof Error ? error.message : String(error)}`);
      console.error(`logs and data of the nodes: ${directory.path}`);
      console.error(`to do the same to a grid again: npm run chaos -- --seed ${String(seed)}`);
      return false;
    }
    await directory.remove();
    say(
      `${String(sum.seeds)} seeds clean: ${String(sum.faults)} faults, ${String(sum.operations)} operations linearizable, ` +
        `${String(sum.merged)} changes merged alike, ${String(sum.acknowledged)} acknowledged objects kept, ${String(sum.doubts)} keys undecided`,
    );
  }
  return true;
}

const built = await tempDir('oaas-chaos-program-');
process.exitCode = (await run(built.path).finally(() => built.remove())) ? 0 : 1;
