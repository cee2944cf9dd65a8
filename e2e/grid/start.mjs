/** `npm run grid`. Builds what is stale, then hands over to the grid (main.ts, bundled to dist/grid.mjs). */
import path from 'node:path';
import { buildPrograms } from '../sandbox/build.mjs';

const root = path.join(path.dirname(new URL(import.meta.url).pathname), '..', '..');
try {
  await buildPrograms(root, (line) => process.stdout.write(`${line}\n`));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
const { runGrid } = await import(path.join(root, 'dist', 'grid.mjs'));
runGrid({ root, argv: process.argv.slice(2) });
