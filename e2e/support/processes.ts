import { readFileSync } from 'node:fs';
import path from 'node:path';
import { processStart } from '../sandbox/orphans.ts';

/** The processes that a sandbox has started and that run now, by the list that it keeps. */
export function livePids(dir: string): readonly number[] {
  return readFileSync(path.join(dir, 'processes'), 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([pid, ...start]) => pid !== undefined && pid !== '' && processStart(Number(pid)) === start.join(' '))
    .map(([pid]) => Number(pid));
}

/** Those of {@link livePids} whose environment sets `name` to one of `values` (Linux). */
export function pidsWith(dir: string, name: string, values: readonly string[]): readonly number[] {
  const wanted = new Set(values.map((value) => `${name}=${value}`));
  return livePids(dir).filter((pid) =>
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .some((entry) => wanted.has(entry)),
  );
}
