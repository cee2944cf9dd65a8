// npm run bench -- loop [--api embedded|real|both] [--runs N] [--packages N] [--list N] [--only part,…]
// npm run bench -- edge [--runs N] [--seconds S] [--only part,…] [--json FILE]
// npm run bench -- grid [--runs N] [--seconds S] [--failovers N] [--only part,…] [--port-base P]
// Figures of whole programs on this machine, with the bars beside them.
import { runEdge } from './edge/edge.ts';
import { runGridBench } from './grid/grid.ts';
import { runLoop } from './loop/loop.ts';

const [name, ...args] = process.argv.slice(2);
if (name === 'loop') {
  await runLoop(args);
  process.exit(0);
}
if (name === 'edge') {
  process.exit((await runEdge(args)) ? 0 : 1);
}
if (name === 'grid') {
  process.exit((await runGridBench(args)) ? 0 : 1);
}
console.error(`npm run bench -- NAME: no benchmark is called ${name ?? 'nothing'}; there are: loop, edge, grid`);
process.exit(1);
