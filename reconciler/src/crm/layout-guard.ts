import type { CollectionLayout, GridLayout } from '../record/index.ts';

/**
 * What would have to move if a grid went from one layout to another: texts for people. Empty: the grid can take the new
 * layout as it is. New collections move nothing.
 */
export function layoutChanges(from: GridLayout, to: GridLayout): readonly string[] {
  const changes: string[] = [];
  if (from.nodeCount !== to.nodeCount) changes.push(`nodes ${String(from.nodeCount)} -> ${String(to.nodeCount)}`);
  for (const old of from.collections) {
    const next = to.collections.find((collection) => collection.name === old.name);
    if (next === undefined) changes.push(`collection ${old.name} is gone`);
    else changes.push(...collectionChanges(old, next));
  }
  return changes;
}

const movingFields = ['partitionCount', 'replicaCount', 'shardType', 'durability'] as const;

function collectionChanges(from: CollectionLayout, to: CollectionLayout): string[] {
  return movingFields
    .filter((field) => from[field] !== to[field])
    .map((field) => `${from.name}.${field} ${String(from[field])} -> ${String(to[field])}`);
}

/** Reads the layout that a grid was made with from its annotation; undefined where it cannot be read. */
export function parseLayout(text: string | undefined): GridLayout | undefined {
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as Partial<GridLayout> | null;
    return Array.isArray(value?.collections) && typeof value.nodeCount === 'number' ? (value as GridLayout) : undefined;
  } catch {
    // Someone edited the annotation. Without it the layout counts as unknown, and the wanted one is applied.
    return undefined;
  }
}
