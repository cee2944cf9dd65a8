// npm run test:raft-cases -- DIR…
// Replays data-driven cases of etcd/raft's form (kinds interaction, confchange, quorum) from folders or files, and fails on the first line of a
// file that differs, log lines apart.
import { existsSync } from 'node:fs';
import { caseFiles, replayFile } from './replay.ts';

const paths = process.argv.slice(2);
const missing = paths.find((path) => !existsSync(path));
if (paths.length === 0 || missing !== undefined) {
  console.error(missing === undefined ? 'usage: npm run test:raft-cases -- DIR' : `${missing} does not exist`);
  process.exit(2);
}
const files = paths.flatMap(caseFiles);
if (files.length === 0) {
  console.error(`there are no cases (files *.txt) in ${paths.join(' ')}`);
  process.exit(2);
}
const results = files.map(replayFile);
const directives = results.reduce((sum, result) => sum + result.directives, 0);
const failed = results.flatMap(({ difference }) => difference ?? []);
for (const { file, line, expected, got } of failed) {
  console.error(`${file}:${line}`);
  console.error(`  expected: ${expected ?? '(nothing more)'}`);
  console.error(`  got:      ${got ?? '(nothing more)'}`);
}
console.log(`${files.length - failed.length} of ${files.length} files pass, ${directives} directives replayed`);
process.exitCode = failed.length === 0 ? 0 : 1;
