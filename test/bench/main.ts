// npm run bench -- loop [--api embedded|real|both] [--runs N] [--packages N] [--list N] [--only part,…]
// Figures of whole programs on this machine. Nothing here passes or fails; the bars stand beside the figures.
import { runLoop } from './loop/loop.ts';

const [name, ...args] = process.argv.slice(2);
if (name === 'loop') {
  await runLoop(args);
  process.exit(0);
}
console.error(`npm run bench -- NAME: no benchmark is called ${name ?? 'nothing'}; there is: loop`);
process.exit(1);
