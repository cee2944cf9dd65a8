import { oaasError } from '@oaas/commons/errors';
import { copyOf, keyOf, textOf } from './bytes.ts';
import type { Engine, LogEntry, LogWrite } from './engine.ts';
import { Log, type Run } from './group-log.ts';
import { checkGroup, checkOperations, checkWrites } from './log-checks.ts';
import type { RangeQuery, StorageReader, StoredEntry, WriteOperation } from './port.ts';
import { runsOf } from './runs.ts';
import { at, latest, VersionedMap } from './versioned-map.ts';

/**
 * An engine that forgets everything at exit, for collections whose durability is `ephemeral`. Bounded by `maxBytes` of
 * keys, values and log entries (default 512 MiB): a `write` or an `append` that would go over it is refused with
 * `StorageFull` and changes nothing.
 */
export function createMemoryEngine(options: { readonly maxBytes?: number } = {}): Engine {
  const maxBytes = options.maxBytes ?? 512 * 1024 * 1024;
  const map = new VersionedMap();
  const logs = new Map<number, Log>();
  let logBytes = 0;
  let isClosed = false;
  const store = {
    cached: ({ bytes }: Run) => {
      logBytes += bytes;
    },
    released: (bytes: number) => {
      logBytes -= bytes;
    },
    read: (): LogEntry[] => [],
  };

  const assertOpen = (): void => {
    if (isClosed) throw oaasError('Unavailable', 'the storage is closed');
  };
  const logOf = (group: number): Log => {
    let log = logs.get(group);
    if (log === undefined) logs.set(group, (log = new Log(group, store)));
    return log;
  };
  const change = (key: string, value: Uint8Array | undefined): void => {
    if (value === undefined && !map.isPinned) map.forget(key);
    else map.set(key, value);
  };
  const assertRoom = (more: number): void => {
    if (more <= 0 || map.bytes + logBytes + more <= maxBytes) return;
    throw oaasError('StorageFull', 'the memory for ephemeral collections is used up', {
      remedy: 'Delete objects, or make the collection persistent.',
      details: { maxBytes },
    });
  };
  const appendTo = (write: LogWrite): void => {
    const log = logOf(write.group);
    if (write.reset !== undefined) log.reset(write.reset);
    if (write.hardState !== undefined) log.setHardState(write.hardState);
    for (const entries of runsOf(write.entries)) log.add(runOf(entries));
    log.expectStored();
    log.isStored = true;
  };

  const engine: Engine = {
    isDurable: false,
    get: (key) => readerAt(map, latest).get(key),
    range: (query) => readerAt(map, latest).range(query),
    snapshot: () => {
      assertOpen();
      const pin = map.pin();
      return {
        ...readerAt(map, pin),
        close: () => {
          map.unpin(pin);
          if (!map.isPinned) for (const { key, value } of [...map.cells()]) if (value === undefined) map.forget(key);
        },
      };
    },
    usage: () => {
      let entries = 0;
      for (const { value } of map.cells()) if (value !== undefined) entries += 1;
      return { entries, bytes: map.bytes + logBytes };
    },
    write: (operations) => engine.append([], operations),
    apply: (operations) => {
      assertOpen();
      checkOperations(operations);
      for (const operation of operations) {
        change(textOf(operation.key), operation.type === 'put' ? operation.value : undefined);
      }
    },
    log: (group) => {
      checkGroup(group);
      return logOf(group);
    },
    groups: () =>
      [...logs.values()]
        .filter(({ isStored }) => isStored)
        .map(({ group }) => group)
        .sort((a, b) => a - b),
    // eslint-disable-next-line @typescript-eslint/require-await -- the port is asynchronous; a throw must reject
    append: async (writes, operations = []) => {
      assertOpen();
      checkOperations(operations);
      checkWrites(writes, logOf);
      const entryBytes = writes.reduce((sum, { entries }) => sum + bytesOf(entries ?? []), 0);
      assertRoom(growth(map, operations) + entryBytes);
      for (const operation of operations) {
        change(textOf(operation.key), operation.type === 'put' ? copyOf(operation.value) : undefined);
      }
      for (const write of writes) appendTo(write);
    },
    compact: (group, index) => {
      assertOpen();
      logs.get(group)?.compact(index);
    },
    dropGroup: (group) => {
      logs.get(group)?.clear();
      logs.delete(group);
      return Promise.resolve();
    },
    checkpoint: () => Promise.resolve(),
    scrub: () => ({ entries: 0, bytes: 0, bad: [] }),
    scrubJournal: () => ({ bytes: 0, bad: [] }),
    status: () => ({
      groups: logs.size,
      memtableBytes: map.bytes,
      cachedLogBytes: logBytes,
      journalBytes: 0,
      journalSegments: 0,
      frames: 0,
      checkpoints: 0,
    }),
    close: () => {
      isClosed = true;
      return Promise.resolve();
    },
  };
  return engine;
}

function readerAt(map: VersionedMap, pin: number): StorageReader {
  return {
    get: (key) => {
      const cell = map.get(textOf(key));
      return cell === undefined ? undefined : at(cell, pin)?.value;
    },
    range: (query) => entriesAt(map, query, pin),
  };
}

function* entriesAt(map: VersionedMap, query: RangeQuery, pin: number): Generator<StoredEntry> {
  let left = query.limit ?? Infinity;
  if (left <= 0) return;
  for (const cell of map.between(textOf(query.start), textOf(query.end))) {
    const value = at(cell, pin)?.value;
    if (value === undefined) continue;
    yield { key: keyOf(cell.key), value };
    left -= 1;
    if (left <= 0) return;
  }
}

/** Bytes that a batch adds, at most. */
function growth(map: VersionedMap, operations: readonly WriteOperation[]): number {
  let bytes = 0;
  for (const operation of operations) {
    const old = map.get(textOf(operation.key));
    if (old?.value !== undefined) bytes -= old.value.length;
    if (operation.type === 'put') bytes += operation.value.length + (old === undefined ? operation.key.length : 0);
  }
  return bytes;
}

function runOf(entries: LogEntry[]): Run {
  const { index, term } = entries[0] ?? { index: 0, term: 0 };
  return { first: index, count: entries.length, term, bytes: bytesOf(entries), entries, stored: undefined };
}

function bytesOf(entries: readonly LogEntry[]): number {
  return entries.reduce((sum, { data }) => sum + data.length, 0);
}
