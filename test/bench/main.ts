// npm run bench -- loop [--api embedded|real|both] [--runs N] [--packages N] [--list N] [--only part,…]
// npm run bench -- edge [--runs N] [--seconds S] [--only part,…] [--json FILE]
// Figures of whole programs on this machine, with the bars beside them.
import { runEdge } from './edge/edge.ts';
import { runLoop } from './loop/loop.ts';

const [name, ...args] = process.argv.slice(2);
if (name === 'loop') {
  await runLoop(args);
  process.exit(0);
}
if (name === 'edge') {
  process.exit((await runEdge(args)) ? 0 : 1);
}
console.error(`npm run bench -- NAME: no benchmark is called ${name ?? 'nothing'}; there are: loop, edge`);
process.exit(1);
