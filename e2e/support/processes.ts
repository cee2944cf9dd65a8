import { readFileSync } from 'node:fs';

/** Those of `pids` whose environment sets `name` to one of `values` (Linux). */
export function pidsWith(pids: readonly number[], name: string, values: readonly string[]): readonly number[] {
  const wanted = new Set(values.map((value) => `${name}=${value}`));
  return pids.filter((pid) =>
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .some((entry) => wanted.has(entry)),
  );
}

/** Whether there is a process with this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
