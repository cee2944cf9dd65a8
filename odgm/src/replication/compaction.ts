import type { RawNode } from '../raft/index.ts';
import type { GroupLog } from '../storage/index.ts';
import type { Tuning } from './types.ts';

/** How many applied entries the log is to keep; undefined while it is not worth it to forget some. */
export function entriesToKeep(log: GroupLog, applied: number, { keepEntries, keepBytes }: Tuning): number | undefined {
  const count = applied - log.firstIndex + 1;
  const bytesFit = log.bytes <= keepBytes;
  if (bytesFit && count <= keepEntries * 1.25) return undefined;
  return bytesFit ? keepEntries : Math.min(keepEntries, Math.floor((count * keepBytes * 0.75) / log.bytes));
}

/** A follower that is only somewhat behind is worth more of the log than a snapshot would cost. */
export function isWorthWaiting(log: GroupLog, applied: number, { keepEntries, keepBytes }: Tuning): boolean {
  return log.bytes < 8 * keepBytes && applied - log.firstIndex + 1 < 8 * keepEntries;
}

/** Last entry that all followers have who are there and need no snapshot; Infinity without any. */
export function slowestMatch(node: RawNode, members: readonly number[]): number {
  let slowest = Infinity;
  for (const member of members) {
    const progress = node.progress(member);
    if (progress === undefined || progress.state === 'snapshot' || !progress.recentActive) continue;
    slowest = Math.min(slowest, progress.match);
  }
  return slowest;
}
