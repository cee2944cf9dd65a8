import type { GridLayoutView } from '@oaas/commons/client/pm';
import type { GridLayout } from '../../record/index.ts';

export interface LayoutChange {
  readonly shardsAdded: number;
  readonly shardsRemoved: number;
  readonly replicasAdded: number;
  readonly replicasRemoved: number;
  /** True where objects that exist would have to move: more than new collections. */
  readonly moves: boolean;
  /** What changes, for people: `partitions 4 → 8`. Empty where nothing does. */
  readonly summary: string;
}

/** What becomes of the shards when a grid goes from one layout to another. Null: there is no grid. */
export function compareLayouts(before: GridLayout | null, after: GridLayout | null): LayoutChange {
  const shards = { added: 0, removed: 0 };
  const replicas = { added: 0, removed: 0 };
  const notes = new Set<string>();
  let moves = false;
  const count = (total: { added: number; removed: number }, from: number, to: number) => {
    if (to > from) total.added += to - from;
    else total.removed += from - to;
  };
  const note = (what: string, from: string | number, to: string | number) => {
    if (from === to) return;
    notes.add(`${what} ${String(from)} → ${String(to)}`);
    moves = true;
  };

  const names = new Set([...(before?.collections ?? []), ...(after?.collections ?? [])].map((each) => each.name));
  for (const name of [...names].sort()) {
    const left = before?.collections.find((each) => each.name === name);
    const right = after?.collections.find((each) => each.name === name);
    count(shards, left?.partitionCount ?? 0, right?.partitionCount ?? 0);
    count(
      replicas,
      (left?.partitionCount ?? 0) * (left?.replicaCount ?? 0),
      (right?.partitionCount ?? 0) * (right?.replicaCount ?? 0),
    );
    if (left !== undefined && right !== undefined) {
      note('partitions', left.partitionCount, right.partitionCount);
      note('replicas', left.replicaCount, right.replicaCount);
      note('shard type', left.shardType, right.shardType);
      note('durability', left.durability, right.durability);
    } else if (left !== undefined && after !== null) {
      notes.add(`collection ${name} goes`);
      moves = true;
    } else if (right !== undefined && before !== null) notes.add(`collection ${name} is added`);
  }
  if (before !== null && after !== null) note('nodes', before.nodeCount, after.nodeCount);
  return {
    shardsAdded: shards.added,
    shardsRemoved: shards.removed,
    replicasAdded: replicas.added,
    replicasRemoved: replicas.removed,
    moves: moves || (before !== null && after === null),
    summary: [...notes].join(', '),
  };
}

export function layoutView(layout: GridLayout | null): GridLayoutView | null {
  if (layout === null) return null;
  return {
    node_count: layout.nodeCount,
    collections: layout.collections.map((each) => ({
      name: each.name,
      shard_type: each.shardType,
      partition_count: each.partitionCount,
      replica_count: each.replicaCount,
    })),
  };
}
