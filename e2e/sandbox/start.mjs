/**
 * `npm start`. Plain Node.js, so that it can say in one line what is missing: builds what is stale, then hands over to the
 * sandbox (main.ts, bundled to dist/sandbox.mjs).
 */
import { existsSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..', '..');

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`Node.js 20.19 or newer is needed, this is ${process.versions.node}.`);
}
if (!existsSync(path.join(root, 'node_modules', 'esbuild')) || !existsSync(path.join(root, 'node_modules', 'lmdb'))) {
  fail('Dependencies are missing: run `npm ci` first.');
}

const { buildConsole, buildPrograms } = await import('./build.mjs');
try {
  await buildPrograms(root, (line) => process.stdout.write(`${line}\n`));
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
const { runSandbox } = await import(path.join(root, 'dist', 'sandbox.mjs'));
runSandbox({ root, argv: process.argv.slice(2), buildConsole: (log) => buildConsole(root, log) });

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
