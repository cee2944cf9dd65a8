// npm run sim -- [--seed N] [--minutes M | --seeds K] [--nodes 5] [--world groups|nodes] [--trace]
// npm run sim -- --mutations [--only NAME] [--seeds K]
// Plays whole clusters in virtual time: fresh seeds from N upwards, until M minutes of real time are over. Each seed is
// played with raft groups and with whole nodes, or with the one that is named.
import { parseArgs } from 'node:util';
import { play as playNodes } from './grid/play.ts';
import { playWith } from './mutate.ts';
import { mutations } from './mutations.ts';
import { play as playGroups } from './play.ts';
import { type Play, PlayFailure, type World } from './run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    seeds: { type: 'string' },
    nodes: { type: 'string', default: '5' },
    world: { type: 'string' },
    trace: { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});

const plays: Readonly<Record<World, Play>> = { groups: playGroups, nodes: playNodes };
const worlds = (['groups', 'nodes'] as const).filter((world) => values.world === undefined || values.world === world);
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

async function playSeeds(): Promise<boolean> {
  const first = Number(values.seed);
  const nodes = Number(values.nodes);
  const count = values.seeds !== undefined ? Number(values.seeds) : values.minutes === undefined ? 1 : Infinity;
  const end = values.minutes === undefined ? Infinity : performance.now() + Number(values.minutes) * 60_000;
  const sums = new Map(worlds.map((world) => [world, new Sum(world)]));
  const sayAll = (): void => {
    for (const sum of sums.values()) sum.say();
  };
  let saidAt = performance.now();
  for (let seed = first; seed < first + count && performance.now() < end; seed += 1) {
    for (const [world, sum] of sums) {
      const began = performance.now();
      try {
        const onTrace = values.trace ? (line: string) => console.log(line) : undefined;
        const played = await plays[world]({ seed, nodes, onTrace });
        sum.add(played, performance.now() - began);
        if (count === 1) console.log(`${world}: trace hash ${played.hash}`);
      } catch (error) {
        if (!(error instanceof PlayFailure)) throw error;
        if (!values.trace) for (const line of error.tail.slice(-60)) console.error(line);
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

/** Each re-introduced bug must be found within its number of seeds. */
async function playMutations(): Promise<boolean> {
  const chosen = mutations.filter(({ name }) => values.only === undefined || name.includes(values.only));
  let missed = 0;
  for (const [i, mutation] of chosen.entries()) {
    const mutated = await playWith(mutation, i, mutation.world);
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

async function firstFailure(mutated: Play, first: number, count: number): Promise<string | undefined> {
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
