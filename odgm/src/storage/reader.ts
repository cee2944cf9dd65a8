import type { BaseReader } from './base.ts';
import { keyOf, textOf } from './bytes.ts';
import type { RangeQuery, StorageReader, StoredEntry } from './port.ts';
import { unseal } from './values.ts';
import { at, type Cell, type VersionedMap } from './versioned-map.ts';

/** A map of changes over the base, as of a pin. */
export interface Layer {
  readonly map: VersionedMap;
  readonly pin: number;
}

export interface View {
  /** Newest first. What a layer says of a key hides the layers and the base below. */
  readonly layers: readonly Layer[];
  readonly base: BaseReader;
  /** Told why a read failed, before its reader is. */
  readonly corrupt: (error: Error) => void;
}

/** Reads a view; each call asks for it anew. */
export function readerOf(view: () => View): StorageReader {
  return { get: (key) => getFrom(view(), key), range: (query) => rangeOf(view(), query) };
}

function getFrom({ layers, base, corrupt }: View, key: Uint8Array): Uint8Array | undefined {
  let text: string | undefined;
  for (const { map, pin } of layers) {
    if (map.size === 0) continue;
    text ??= textOf(key);
    const cell = map.get(text);
    const version = cell === undefined ? undefined : at(cell, pin);
    if (version !== undefined) return version.value;
  }
  try {
    const stored = base.get(key);
    return stored === undefined ? undefined : unseal(key, stored);
  } catch (error) {
    corrupt(error as Error);
    throw error;
  }
}

function* rangeOf(view: View, query: RangeQuery): Generator<StoredEntry> {
  const { limit = Infinity } = query;
  if (limit <= 0) return;
  const start = textOf(query.start);
  const end = textOf(query.end);
  const changes = view.layers
    .map(({ map, pin }) => new Changes(map, pin, start, end))
    .filter(({ current }) => current !== undefined);
  try {
    if (changes.length === 0) yield* fromBase(view, query);
    else yield* merged(view, query, changes, limit);
  } catch (error) {
    view.corrupt(error as Error);
    throw error;
  }
}

function* fromBase({ base }: View, query: RangeQuery): Generator<StoredEntry> {
  for (const { key, value } of base.range(query)) yield { key, value: unseal(key, value) };
}

function* merged(view: View, query: RangeQuery, changes: Changes[], limit: number): Generator<StoredEntry> {
  const stored = view.base.range({ start: query.start, end: query.end })[Symbol.iterator]();
  let left = limit;
  try {
    let next = stored.next();
    let nextText = next.done === true ? undefined : textOf(next.value.key);
    for (;;) {
      const text = smallest(changes, nextText);
      if (text === undefined) return;
      const change = newest(changes, text);
      let entry: StoredEntry | undefined;
      if (change !== undefined) {
        if (change.value !== undefined) entry = { key: keyOf(text), value: change.value };
      } else if (next.done !== true) {
        const { key, value } = next.value;
        entry = { key, value: unseal(key, value) };
      }
      if (text === nextText) {
        next = stored.next();
        nextText = next.done === true ? undefined : textOf(next.value.key);
      }
      if (entry === undefined) continue;
      yield entry;
      left -= 1;
      if (left <= 0) return;
    }
  } finally {
    stored.return?.();
  }
}

function smallest(changes: readonly Changes[], other: string | undefined): string | undefined {
  let text = other;
  for (const { current } of changes) {
    if (current !== undefined && (text === undefined || current.key < text)) text = current.key;
  }
  return text;
}

/** What the newest layer that knows the key says of it; moves all layers past the key. */
function newest(changes: readonly Changes[], text: string): { readonly value: Uint8Array | undefined } | undefined {
  let found: { readonly value: Uint8Array | undefined } | undefined;
  for (const change of changes) {
    if (change.current?.key !== text) continue;
    found ??= { value: change.value };
    change.advance();
  }
  return found;
}

/** The changes of one layer in a range, one after the other. */
class Changes {
  readonly #cells: Generator<Cell>;
  readonly #pin: number;
  current: Cell | undefined;
  value: Uint8Array | undefined;

  constructor(map: VersionedMap, pin: number, start: string, end: string) {
    this.#cells = map.between(start, end);
    this.#pin = pin;
    this.advance();
  }

  advance(): void {
    for (;;) {
      const next = this.#cells.next();
      if (next.done === true) {
        this.current = undefined;
        return;
      }
      const version = at(next.value, this.#pin);
      if (version === undefined) continue;
      this.current = next.value;
      this.value = version.value;
      return;
    }
  }
}
