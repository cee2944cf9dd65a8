import { plays } from './worlds.ts';
import { playWith } from './mutate.ts';
import { brokenBy } from './guarantees.ts';
import { mutations, type SimulatedMutation } from './mutations.ts';
import { type Options, readOptions, usage } from './options.ts';
import { type Play, PlayFailure, type World } from './run.ts';

const options = readOptions(process.argv.slice(2));
if (typeof options === 'string') {
  console.error(`${options}\n\n${usage}`);
  process.exit(2);
}
if (options.help) {
  console.log(usage);
  process.exit(0);
}
const { worlds } = options;
const summed = ['virtualMs', 'operations', 'memberChanges', 'crashes', 'ambushes', 'compared', 'doubtful'] as const;

/** What all seeds of one world did together. */
class Sum {
  seeds = 0;
  readonly #world: World;
  readonly #sums = new Map<(typeof summed)[number], number>();
  #ms = 0;

  constructor(world: World) {
    this.#world = world;
  }

  add(played: Awaited<ReturnType<Play>>, ms: number): void {
    this.seeds += 1;
    this.#ms += ms;
    for (const key of summed) this.#sums.set(key, this.#of(key) + played[key]);
  }

  say(): void {
    const perMinute = ((this.seeds / Math.max(1, this.#ms)) * 60_000).toFixed(0);
    console.log(
      `${this.#world}: ${this.seeds} seeds (${perMinute} a minute), ${(this.#of('virtualMs') / 3_600_000).toFixed(2)} virtual hours, ` +
        `${this.#of('operations')} operations, ${this.#of('memberChanges')} changes, ${this.#of('crashes')} crashes, ` +
        `${this.#of('ambushes')} ambushes, ${this.#of('compared')} states compared, ${this.#of('doubtful')} keys undecided`,
    );
  }

  #of(key: (typeof summed)[number]): number {
    return this.#sums.get(key) ?? 0;
  }
}

async function playSeeds(values: Options): Promise<boolean> {
  const { seed: first, nodes, minutes, trace } = values;
  const count = values.seeds ?? (minutes === undefined ? 1 : Infinity);
  const end = performance.now() + (minutes ?? Infinity) * 60_000;
  const sums = new Map(worlds.map((world) => [world, new Sum(world)]));
  const sayAll = (): void => {
    for (const sum of sums.values()) sum.say();
  };
  let saidAt = performance.now();
  for (let seed = first; seed < first + count && performance.now() < end; seed += 1) {
    for (const [world, sum] of sums) {
      const began = performance.now();
      try {
        const onTrace = trace ? (line: string) => console.log(line) : undefined;
        const played = await plays[world]({ seed, nodes, onTrace });
        sum.add(played, performance.now() - began);
        if (count === 1) console.log(`${world}: trace hash ${played.hash}`);
      } catch (error) {
        if (!(error instanceof PlayFailure)) throw error;
        if (!trace) for (const line of error.tail.slice(-60)) console.error(line);
        console.error(`\n${world}: seed ${String(seed)} failed at ${error.message}`);
        const again = `--world ${world} --seed ${String(seed)} --nodes ${String(nodes)}`;
        console.error(`to repeat it: npm run sim -- ${again} --trace`);
        sayAll();
        return false;
      }
    }
    if (performance.now() - saidAt <= 20_000) continue;
    saidAt = performance.now();
    sayAll();
  }
  sayAll();
  return true;
}

/** Each re-introduced bug must be found within its number of seeds, by what it breaks. */
async function playMutations(values: Options): Promise<boolean> {
  const chosen = mutations.filter(({ name }) => name.includes(values.only ?? ''));
  let missed = 0;
  for (const mutation of chosen) {
    const began = performance.now();
    const mutated = await playWith(mutation, mutation.world);
    const count = values.seeds ?? mutation.seeds;
    const { found, others } = await searchFor(mutation, mutated, values, count);
    if (found === undefined) missed += 1;
    const seconds = `${((performance.now() - began) / 1000).toFixed(0)} s`;
    console.log(
      found === undefined
        ? `MISSED: ${mutation.name}: ${String(count)} seeds, ${seconds}`
        : `caught: ${mutation.name}: ${seconds}, ${found}`,
    );
    if (others.length > 0) console.log(`  ${String(others.length)} failed otherwise, first ${others[0] ?? ''}`);
  }
  console.log(`${String(chosen.length - missed)} of ${String(chosen.length)} mutations caught`);
  return missed === 0;
}

/** The first seed that shows what the mutation breaks, and those before it that failed with anything else. */
async function searchFor(
  { breaks }: SimulatedMutation,
  mutated: Play,
  { seed: first, nodes }: Options,
  count: number,
): Promise<{ readonly found: string | undefined; readonly others: readonly string[] }> {
  const others: string[] = [];
  for (let seed = first; seed < first + count; seed += 1) {
    try {
      await mutated({ seed, nodes });
    } catch (error) {
      const [line = ''] = String(error instanceof Error ? error.message : error).split('\n');
      const broken = brokenBy(error);
      const told = `seed ${String(seed)} (${String(seed - first + 1)}.), ${broken ?? 'no guarantee'}: ${line}`;
      if (broken !== undefined && breaks.includes(broken)) return { found: told, others };
      others.push(told);
    }
  }
  return { found: undefined, others };
}

process.exitCode = (await (options.mutations ? playMutations(options) : playSeeds(options))) ? 0 : 1;
