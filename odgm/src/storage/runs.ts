import type { LogEntry } from './engine.ts';

/** Entries cut where their term changes. */
export function runsOf(entries: readonly LogEntry[] | undefined): LogEntry[][] {
  if (entries === undefined || entries.length === 0) return [];
  const runs: LogEntry[][] = [];
  let start = 0;
  for (let i = 1; i <= entries.length; i++) {
    if (i < entries.length && entries[i]?.term === entries[start]?.term) continue;
    runs.push(entries.slice(start, i));
    start = i;
  }
  return runs;
}
