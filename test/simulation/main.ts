// npm run sim -- [--seed N] [--minutes M | --seeds K] [--nodes 5] [--trace]
// npm run sim -- --mutations [--only NAME]
// Plays whole clusters in virtual time: fresh seeds from N upwards, until M minutes of real time are over.
import { parseArgs } from 'node:util';
import { playWith } from './mutate.ts';
import { mutations } from './mutations.ts';
import { play, PlayFailure } from './play.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    seeds: { type: 'string' },
    nodes: { type: 'string', default: '5' },
    trace: { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});

async function playSeeds(): Promise<boolean> {
  const first = Number(values.seed);
  const nodes = Number(values.nodes);
  const count = values.seeds !== undefined ? Number(values.seeds) : values.minutes === undefined ? 1 : Infinity;
  const end = values.minutes === undefined ? Infinity : performance.now() + Number(values.minutes) * 60_000;
  const sum = {
    seeds: 0,
    virtualMs: 0,
    operations: 0,
    memberChanges: 0,
    crashes: 0,
    ambushes: 0,
    compared: 0,
    doubtful: 0,
  };
  const began = performance.now();
  let hash = '';
  const say = (): void => {
    const seconds = (performance.now() - began) / 1000;
    const perMinute = ((sum.seeds / seconds) * 60).toFixed(0);
    console.log(
      `${String(sum.seeds)} seeds (${perMinute} a minute), ${(sum.virtualMs / 3_600_000).toFixed(2)} virtual hours, ` +
        `${String(sum.operations)} operations, ${String(sum.memberChanges)} member changes, ${String(sum.crashes)} crashes, ` +
        `${String(sum.ambushes)} ambushes, ` +
        `${String(sum.compared)} states compared, ${String(sum.doubtful)} keys undecided`,
    );
  };
  let saidAt = began;
  for (let seed = first; sum.seeds < count && performance.now() < end; seed += 1) {
    try {
      const played = await play({ seed, nodes, ...(values.trace ? { onTrace: (line) => console.log(line) } : {}) });
      sum.seeds += 1;
      for (const key of [
        'virtualMs',
        'operations',
        'memberChanges',
        'crashes',
        'ambushes',
        'compared',
        'doubtful',
      ] as const) {
        sum[key] += played[key];
      }
      hash = played.hash;
    } catch (error) {
      if (!(error instanceof PlayFailure)) throw error;
      if (!values.trace) for (const line of error.tail.slice(-60)) console.error(line);
      console.error(`\nseed ${String(seed)} failed at ${error.message}`);
      console.error(`to repeat it: npm run sim -- --seed ${String(seed)} --nodes ${String(nodes)} --trace`);
      say();
      return false;
    }
    if (performance.now() - saidAt > 20_000) {
      saidAt = performance.now();
      say();
    }
  }
  say();
  if (count === 1) console.log(`trace hash ${hash}`);
  return true;
}

/** Each re-introduced bug must be found within its number of seeds. */
async function playMutations(): Promise<boolean> {
  const chosen = mutations.filter(({ name }) => values.only === undefined || name.includes(values.only));
  let missed = 0;
  for (const [i, mutation] of chosen.entries()) {
    const mutated = await playWith(mutation, i);
    const first = Number(values.seed);
    const found = await firstFailure(
      mutated,
      first,
      values.seeds === undefined ? mutation.seeds : Number(values.seeds),
    );
    if (found === undefined) missed += 1;
    console.log(
      `${found === undefined ? 'MISSED' : 'caught'}: ${mutation.name}${found === undefined ? '' : `: ${found}`}`,
    );
  }
  console.log(`${String(chosen.length - missed)} of ${String(chosen.length)} mutations caught`);
  return missed === 0;
}

async function firstFailure(mutated: typeof play, first: number, count: number): Promise<string | undefined> {
  for (let seed = first; seed < first + count; seed += 1) {
    try {
      await mutated({ seed, nodes: Number(values.nodes) });
    } catch (error) {
      const [line] = String(error instanceof Error ? error.message : error).split('\n');
      return `seed ${String(seed)} (${String(seed - first + 1)}.), ${line ?? ''}`;
    }
  }
  return undefined;
}

process.exitCode = (await (values.mutations ? playMutations() : playSeeds())) ? 0 : 1;
