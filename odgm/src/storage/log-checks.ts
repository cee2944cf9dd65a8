import { oaasError } from '@oaas/commons/errors';
import type { LogEntry, LogWrite } from './engine.ts';
import type { Log } from './group-log.ts';
import { maxKeyBytes, type WriteOperation } from './port.ts';

/** Throws `InvalidArgument` for writes that do not fit the logs; gives back nothing but the right to go on. */
export function checkWrites(writes: readonly LogWrite[], logOf: (group: number) => Log): void {
  const expected = new Map<number, { first: number; last: number }>();
  for (const { group, reset, entries } of writes) {
    checkGroup(group);
    const log = logOf(group);
    let { first, last } = expected.get(group) ?? { first: log.expectedFirst, last: log.expectedLast };
    if (reset !== undefined) [first, last] = [reset.index + 1, reset.index];
    if (entries !== undefined && entries.length > 0) last = checkEntries(group, first, last, entries);
    // Most calls have one write: then there is nothing to remember.
    if (writes.length > 1) expected.set(group, { first, last });
  }
}

export function checkGroup(group: number): void {
  if (!Number.isSafeInteger(group) || group < 0) throw invalid(`"${String(group)}" is no number of a group`, group);
}

function checkEntries(group: number, first: number, last: number, entries: readonly LogEntry[]): number {
  let next = entries[0]?.index ?? 0;
  if (next < first || next > last + 1) {
    throw invalid(`entry ${String(next)} does not fit a log of ${String(first)}..${String(last)}`, group);
  }
  for (const { index } of entries) {
    if (index !== next) throw invalid(`entry ${String(index)} follows ${String(next - 1)}`, group);
    next += 1;
  }
  return next - 1;
}

/** Throws `InvalidArgument` for a key that the engines cannot hold. */
export function checkOperations(operations: readonly WriteOperation[]): void {
  for (const { key } of operations) {
    if (key.length === 0 || key.length > maxKeyBytes) {
      throw oaasError('InvalidArgument', `a key of ${String(key.length)} bytes cannot be stored`, {
        details: { maxKeyBytes },
      });
    }
  }
}

function invalid(message: string, group: number): Error {
  return oaasError('InvalidArgument', message, { details: { group } });
}
