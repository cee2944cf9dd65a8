import type { FieldChange, GridLayoutView, Plan, UnitChange } from '@oaas/commons/client/pm';
import { formatCount, plural } from '../../ui/format.ts';
import type { Tone } from '../../ui/tone.ts';

export const actions = [
  'hold',
  'create',
  'update',
  'prune',
  'keep',
  'unchanged',
] as const satisfies readonly UnitChange['action'][];

const views: Record<UnitChange['action'], readonly [Tone, string, string]> = {
  create: ['ok', '+', 'Create'],
  update: ['busy', '~', 'Update'],
  unchanged: ['idle', '=', 'Unchanged'],
  prune: ['bad', '−', 'Prune'],
  keep: ['pause', '·', 'Keep'],
  hold: ['hold', '◆', 'Hold'],
};

export function actionView(action: UnitChange['action']): {
  readonly tone: Tone;
  readonly sign: string;
  readonly word: string;
} {
  const [tone, sign, word] = views[action];
  return { tone, sign, word };
}

export interface UnitFilter {
  readonly environment: string;
  readonly action: string;
  readonly unchanged: boolean;
}

/** What wants a decision first, then by name; what stays as it is only when asked for. */
export function unitsToShow(plan: Plan, filter: UnitFilter): readonly UnitChange[] {
  return plan.units
    .filter(
      (unit) =>
        (filter.environment === '' || unit.environment === filter.environment) &&
        (filter.action === '' ? filter.unchanged || unit.action !== 'unchanged' : unit.action === filter.action),
    )
    .toSorted(
      (a, b) =>
        actions.indexOf(a.action) - actions.indexOf(b.action) ||
        `${a.package_name}.${a.class_key}`.localeCompare(`${b.package_name}.${b.class_key}`) ||
        a.environment.localeCompare(b.environment),
    );
}

export interface EnvironmentSummary {
  readonly environment: string;
  readonly counts: Readonly<Record<UnitChange['action'], number>>;
  readonly total: number;
}

/** The plan per cluster. */
export function byEnvironment(plan: Plan): readonly EnvironmentSummary[] {
  const names = [...new Set(plan.units.map((unit) => unit.environment))].toSorted();
  return names.map((environment) => {
    const counts = { hold: 0, create: 0, update: 0, prune: 0, keep: 0, unchanged: 0 };
    const units = plan.units.filter((unit) => unit.environment === environment);
    for (const unit of units) counts[unit.action] += 1;
    return { environment, counts, total: units.length };
  });
}

/** A field's value as one line; objects as JSON. Undefined: the field is not there. */
export function valueText(value: unknown): string | null {
  if (value === undefined) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function changeKind(change: FieldChange): 'added' | 'removed' | 'changed' {
  if (change.before === undefined) return 'added';
  return change.after === undefined ? 'removed' : 'changed';
}

/** `4 shards x 2 replicas on 3 nodes`. */
export function layoutText(layout: GridLayoutView | null): string {
  if (layout === null) return 'no grid';
  const shards = layout.collections.reduce((sum, item) => sum + item.partition_count, 0);
  const replicas = layout.collections.reduce((sum, item) => sum + item.partition_count * item.replica_count, 0);
  return `${plural(shards, 'shard')}, ${plural(replicas, 'replica')}, ${plural(layout.node_count, 'node')}`;
}

/** What a held or pruning change costs, in numbers. */
export function dataCost(data: UnitChange['data']): readonly string[] {
  const lines: string[] = [];
  if (data.objects !== null)
    lines.push(`${formatCount(data.objects)} ${data.objects === 1 ? 'object is' : 'objects are'} held now`);
  if (data.shards_added > 0) lines.push(`${plural(data.shards_added, 'shard')} added`);
  if (data.shards_removed > 0) lines.push(`${plural(data.shards_removed, 'shard')} removed`);
  if (data.replicas_added > 0) lines.push(`${plural(data.replicas_added, 'replica')} added`);
  if (data.replicas_removed > 0) lines.push(`${plural(data.replicas_removed, 'replica')} removed`);
  return lines;
}
