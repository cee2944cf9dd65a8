import type { GridMember, GridShard, GridView } from '@oaas/commons/client/pm';
import type { Tone } from '../../ui/tone.ts';

const members: Record<GridMember['state'], readonly [Tone, string]> = {
  up: ['ok', 'Up'],
  suspect: ['warn', 'Suspect'],
  draining: ['busy', 'Draining'],
  drained: ['idle', 'Drained'],
  down: ['bad', 'Down'],
};

export function memberView(state: GridMember['state']): { readonly tone: Tone; readonly word: string } {
  const [tone, word] = members[state];
  return { tone, word };
}

const states: Readonly<Record<string, Tone>> = {
  ready: 'ok',
  recovering: 'busy',
  syncing: 'busy',
  joining: 'busy',
  snapshot: 'busy',
  degraded: 'warn',
  lagging: 'warn',
  unavailable: 'bad',
  down: 'bad',
  failed: 'bad',
};

/** Tone of a shard's or a replica's state; one that this console does not know yet is neither good nor bad. */
export function stateTone(state: string): Tone {
  return states[state] ?? 'idle';
}

/** The replica that takes the writes of its shard. */
export function isLeading(role: string): boolean {
  return role === 'leader' || role === 'primary';
}

export interface Cell {
  readonly shard: GridShard;
  readonly leading: boolean;
  readonly role: string;
  readonly state: string;
  readonly tone: Tone;
}

export interface Column {
  readonly member: string;
  /** By position in {@link ShardMap.shards}; null: the member holds no replica of that shard. */
  readonly cells: readonly (Cell | null)[];
}

export interface ShardMapView {
  readonly collection: string;
  readonly shards: readonly GridShard[];
  readonly columns: readonly Column[];
  /** Shards that no listed member holds. */
  readonly homeless: readonly GridShard[];
}

/**
 * One map per collection: a column per member, and in each column every shard at the same place, so that the replicas of one
 * shard are found by looking across. Members that only the replicas name get a column as well.
 */
export function shardMaps(grid: Pick<GridView, 'collections' | 'members' | 'shards'>): readonly ShardMapView[] {
  const names = new Set(grid.members.map((member) => member.id));
  for (const shard of grid.shards) for (const replica of shard.replicas) names.add(replica.node);
  const order = [...names].toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return grid.collections.map(({ name }) => {
    const shards = grid.shards
      .filter((shard) => shard.collection === name)
      .toSorted((a, b) => a.partition - b.partition);
    return {
      collection: name,
      shards,
      columns: order.map((member) => ({ member, cells: shards.map((shard) => cellOf(shard, member)) })),
      homeless: shards.filter((shard) => shard.replicas.length === 0),
    };
  });
}

function cellOf(shard: GridShard, member: string): Cell | null {
  const replica = shard.replicas.find((each) => each.node === member);
  if (replica === undefined) return null;
  return {
    shard,
    leading: isLeading(replica.role) || shard.leader === member,
    role: replica.role,
    state: replica.state,
    tone: stateTone(replica.state),
  };
}

export type Arrow = 'ArrowLeft' | 'ArrowRight' | 'ArrowUp' | 'ArrowDown' | 'Home' | 'End';

/** Where the focus goes from a cell: along the member's shards, or to the next member that holds the same shard. */
export function moveFocus(
  map: ShardMapView,
  at: { readonly column: number; readonly row: number },
  key: Arrow,
): { readonly column: number; readonly row: number } {
  const held = (column: number, row: number) => map.columns[column]?.cells[row] != null;
  const scan = (from: number, step: number, size: number, test: (index: number) => boolean) => {
    for (let index = from + step; index >= 0 && index < size; index += step) if (test(index)) return index;
    return from;
  };
  const rows = map.shards.length;
  switch (key) {
    case 'ArrowRight':
      return { ...at, row: scan(at.row, 1, rows, (row) => held(at.column, row)) };
    case 'ArrowLeft':
      return { ...at, row: scan(at.row, -1, rows, (row) => held(at.column, row)) };
    case 'ArrowDown':
      return { ...at, column: scan(at.column, 1, map.columns.length, (column) => held(column, at.row)) };
    case 'ArrowUp':
      return { ...at, column: scan(at.column, -1, map.columns.length, (column) => held(column, at.row)) };
    case 'Home':
      return { ...at, row: scan(-1, 1, rows, (row) => held(at.column, row)) };
    case 'End':
      return { ...at, row: scan(rows, -1, rows, (row) => held(at.column, row)) };
  }
}

/** The first cell that can take the focus; null where no replica is anywhere. */
export function firstCell(map: ShardMapView): { readonly column: number; readonly row: number } | null {
  for (const [column, { cells }] of map.columns.entries()) {
    const row = cells.findIndex((cell) => cell !== null);
    if (row >= 0) return { column, row };
  }
  return null;
}

/** How many shards are in each state, worst first. */
export function shardStates(
  shards: readonly GridShard[],
): readonly { readonly state: string; readonly tone: Tone; readonly count: number }[] {
  const counts = new Map<string, number>();
  for (const shard of shards) counts.set(shard.state, (counts.get(shard.state) ?? 0) + 1);
  const rank: readonly Tone[] = ['bad', 'hold', 'warn', 'busy', 'pause', 'idle', 'ok'];
  return [...counts]
    .map(([state, count]) => ({ state, count, tone: stateTone(state) }))
    .toSorted((a, b) => rank.indexOf(a.tone) - rank.indexOf(b.tone) || a.state.localeCompare(b.state));
}
