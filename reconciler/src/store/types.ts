import { oaasError } from '@oaas/commons/errors';
import type { JsonValue } from '@oaas/commons/errors';

/**
 * Where the control plane keeps what it must not forget: a map of keys to JSON values in the order of the keys, with revisions.
 * Every accepted transaction has a revision one higher than the one before. Errors: `InvalidArgument` (a key, a cursor),
 * `ResourceExhausted` (a bound), `StorageFull`, `StorageCorrupt`, `StorageLocked`, `Unavailable` (after `close`).
 */
export interface Store {
  get(key: string): Promise<Entry | undefined>;
  /** Entries whose key begins with `prefix`, in order. A cursor continues after the page that gave it, whatever changed since. */
  list(options: ListOptions): Promise<EntryPage>;
  /** All of it or nothing, durable when it resolves. Rejects with `VersionConflict` where a comparison does not hold. */
  transaction(changes: Transaction): Promise<number>;
  /** Calls `listener` after each transaction with what it changed under `prefix`, in order of the revisions. Gives what ends it. */
  watch(prefix: string, listener: (change: Change) => void): () => void;
  close(): Promise<void>;
}

export interface Entry {
  readonly key: string;
  readonly value: JsonValue;
  /** Revision of the transaction that wrote it. */
  readonly revision: number;
}

export interface ListOptions {
  readonly prefix: string;
  /** 1 to {@link storeLimits.page}; default that. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface EntryPage {
  readonly entries: readonly Entry[];
  /** Undefined on the last page. */
  readonly nextCursor: string | undefined;
}

export interface Transaction {
  /** Revisions that keys must have now; 0: the key must not exist. */
  readonly compare?: Readonly<Record<string, number>>;
  readonly put?: Readonly<Record<string, JsonValue>>;
  readonly delete?: readonly string[];
}

export interface Change {
  readonly key: string;
  /** Undefined: deleted. */
  readonly value: JsonValue | undefined;
  readonly revision: number;
}

/** Bounds of every store; over them `ResourceExhausted`. */
export const storeLimits = {
  keyBytes: 1024,
  /** Of one value as JSON. */
  valueBytes: 8 * 1024 * 1024,
  /** Entries of one page. */
  page: 10_000,
  /** Keys that one transaction changes. */
  changes: 20_000,
} as const;

/** A transaction in the form in which adapters store it. Throws for what no store takes. */
export function prepare(changes: Transaction): {
  readonly puts: readonly (readonly [string, string])[];
  readonly deletes: readonly string[];
} {
  const puts = Object.entries(changes.put ?? {}).map(([key, value]) => [key, JSON.stringify(value)] as const);
  const deletes = changes.delete ?? [];
  if (puts.length + deletes.length > storeLimits.changes)
    throw tooBig('changes of one transaction', storeLimits.changes);
  for (const key of [...puts.map(([name]) => name), ...deletes, ...Object.keys(changes.compare ?? {})]) checkKey(key);
  for (const [, json] of puts)
    if (json.length > storeLimits.valueBytes) throw tooBig('bytes of one value', storeLimits.valueBytes);
  return { puts, deletes };
}

export function checkKey(key: string): void {
  if (key === '' || key.includes('\0')) throw oaasError('InvalidArgument', 'a key must be text without NUL');
  if (Buffer.byteLength(key) > storeLimits.keyBytes) throw tooBig('bytes of a key', storeLimits.keyBytes);
}

export function pageLimit(limit: number | undefined): number {
  const wanted = limit ?? storeLimits.page;
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > storeLimits.page) {
    throw oaasError('InvalidArgument', `a page has 1 to ${String(storeLimits.page)} entries, not ${String(wanted)}`);
  }
  return wanted;
}

/** Opaque to callers: the last key of the page. */
export function encodeCursor(key: string): string {
  return Buffer.from(key, 'utf8').toString('base64url');
}

/** The key after which a page begins. Throws `InvalidArgument` for a cursor of another listing. */
export function decodeCursor(cursor: string, prefix: string): string {
  const key = Buffer.from(cursor, 'base64url').toString('utf8');
  if (key.startsWith(prefix) && encodeCursor(key) === cursor) return key;
  throw oaasError('InvalidArgument', 'the cursor belongs to another listing', { remedy: 'Begin without a cursor.' });
}

export function revisionConflict(key: string, expected: number, actual: number): Error {
  return oaasError('VersionConflict', `"${key}" has revision ${String(actual)}, not ${String(expected)}`, {
    details: { key, expected, actual },
  });
}

export function closed(): Error {
  return oaasError('Unavailable', 'the store is closed');
}

function tooBig(what: string, max: number): Error {
  return oaasError('ResourceExhausted', `more than ${String(max)} ${what}`);
}

/** Who is told of changes. A listener that throws must not keep others from hearing. */
export class Watchers {
  readonly #watchers = new Set<{ readonly prefix: string; readonly listener: (change: Change) => void }>();

  add(prefix: string, listener: (change: Change) => void): () => void {
    const watcher = { prefix, listener };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  notify(changes: readonly Change[]): void {
    for (const { prefix, listener } of this.#watchers) {
      for (const change of changes) {
        if (!change.key.startsWith(prefix)) continue;
        try {
          listener(change);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  }
}

/** What a transaction changed, for {@link Watchers}. */
export function changesOf(changes: Transaction, revision: number): readonly Change[] {
  return [
    ...Object.entries(changes.put ?? {}).map(([key, value]) => ({ key, value, revision })),
    ...(changes.delete ?? []).map((key) => ({ key, value: undefined, revision })),
  ];
}
