import { play as playNodes } from './grid/play.ts';
import { play as playGroups } from './play.ts';
import type { Play, World } from './run.ts';
import { play as playStorm } from './storm.ts';

export const plays: Readonly<Record<World, Play>> = { groups: playGroups, nodes: playNodes, storms: playStorm };
