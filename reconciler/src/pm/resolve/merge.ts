/** Fields that name an item of a list, in the order in which they are looked for. */
const identities = ['key', 'function_key', 'name'] as const;

/**
 * Lays `patch` over `base`: maps are merged field by field, lists whose items have a key are merged item by item (new items are
 * added at the end), everything else is replaced. Neither argument is changed.
 */
export function strategicMerge<T>(base: T, patch: unknown): T {
  return merge(base, patch) as T;
}

function merge(base: unknown, patch: unknown): unknown {
  if (patch === undefined) return base;
  if (isMap(base) && isMap(patch)) {
    const result: Record<string, unknown> = { ...base };
    for (const [name, value] of Object.entries(patch)) result[name] = merge(base[name], value);
    return result;
  }
  if (Array.isArray(base) && Array.isArray(patch)) return mergeLists(base, patch);
  return patch;
}

function mergeLists(base: readonly unknown[], patch: readonly unknown[]): readonly unknown[] {
  const identity = identities.find((field) =>
    [...base, ...patch].every((item) => isMap(item) && typeof item[field] === 'string'),
  );
  if (identity === undefined || patch.length === 0) return patch;
  const keyOf = (item: unknown) => (item as Record<string, unknown>)[identity];
  const patched = base.map((item) =>
    merge(
      item,
      patch.find((other) => keyOf(other) === keyOf(item)),
    ),
  );
  return [...patched, ...patch.filter((item) => !base.some((other) => keyOf(other) === keyOf(item)))];
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
