import { parseArgs } from 'node:util';
import { type World, worldNames } from './run.ts';

export const usage = `npm run sim -- [--seed N] [--minutes M | --seeds K] [--world ${worldNames.join('|')}] [--nodes 5] [--trace]
npm run sim -- --mutations [--only NAME] [--seed N] [--seeds K]

Plays clusters in virtual time: seeds from N (default 1) upwards, until M minutes of real time are over, or K of them
(default 1 without minutes). Each seed is played in all worlds, or in the one that is named:
  groups   raft groups on engines of their own, whose members an operator changes
  nodes    whole nodes, with meta group, placement and tasks
  storms   replicas that merge (basic with several replicas, mst); these are always four
A failure prints its seed and ends the run with 1. With --trace all that happens is printed.

With --mutations known bugs are put back, one after the other (all, or those with NAME in their name), and each must be
found within its number of seeds, or K: by a run that finds one of the guarantees broken which the bug breaks.`;

export interface Options {
  readonly help: boolean;
  readonly seed: number;
  readonly minutes: number | undefined;
  readonly seeds: number | undefined;
  readonly nodes: number;
  readonly worlds: readonly World[];
  readonly trace: boolean;
  readonly mutations: boolean;
  readonly only: string | undefined;
}

/** What the command line says, or what is wrong with it. */
export function readOptions(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h', default: false },
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
    const { help, world, trace, mutations, only } = values;
    const worlds = worldNames.filter((name) => world === undefined || name === world);
    if (worlds.length === 0) return `--world is one of ${worldNames.join(', ')}`;
    return {
      ...{ help, worlds, trace, mutations, only },
      seed: wholeOf('seed', values.seed, 0),
      nodes: wholeOf('nodes', values.nodes, 3),
      seeds: values.seeds === undefined ? undefined : wholeOf('seeds', values.seeds, 1),
      minutes: values.minutes === undefined ? undefined : positiveOf('minutes', values.minutes),
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function wholeOf(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text === '' || !Number.isSafeInteger(value) || value < least) {
    throw new Error(`--${name} is a whole number, at least ${String(least)}`);
  }
  return value;
}

function positiveOf(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`--${name} is a number above 0`);
  return value;
}
