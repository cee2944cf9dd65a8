import type { PlanSummary, UnitChange } from '@oaas/commons/client/pm';
import type { Hold, UnitState } from '../model/state.ts';
import type { DesiredUnit } from '../model/unit.ts';
import { diff } from './diff.ts';
import { compareLayouts, type LayoutChange, layoutView } from './layout-change.ts';

export interface PlanInput {
  /** What this owner wanted before. */
  readonly previous: readonly UnitState[];
  readonly desired: readonly DesiredUnit[];
  /** The source's policy; a package's own wins. */
  readonly prune: 'delete' | 'keep';
  /** Objects that a unit's shards hold now; null or absent where the grid could not be asked. */
  readonly objects: ReadonlyMap<string, number | null>;
  /** No package is left where there were some: probably a mistake, so nothing is removed unasked. */
  readonly emptied: boolean;
}

/** What the shell does with a unit: the change as shown, and the state that follows from it. */
export interface PlannedUnit {
  readonly change: UnitChange;
  readonly next:
    | { readonly intent: 'apply'; readonly desired: DesiredUnit }
    | { readonly intent: 'delete' }
    | { readonly intent: 'keep'; readonly hold: Hold | null }
    /** The unit stays as it was until somebody confirms. */
    | { readonly intent: 'stay'; readonly hold: Hold };
}

/** Units whose objects must be counted before {@link planUnits}: those that may lose data. */
export function unitsToCount(input: Omit<PlanInput, 'objects'>): readonly string[] {
  const desired = new Map(input.desired.map((unit) => [unit.spec.id, unit]));
  return input.previous
    .filter((unit) => {
      if (!unit.attempted || unit.intent === 'delete') return false;
      const wanted = desired.get(unit.id);
      if (wanted === undefined) return policyOf(unit, input.prune) === 'delete';
      return compareLayouts(unit.layout, wanted.layout).moves;
    })
    .map((unit) => unit.id);
}

/**
 * From what was wanted to what is wanted. A unit whose shards hold objects, or whose grid cannot be asked, is neither removed nor
 * laid out anew: that is held until confirmed. Applying the plan and planning the same again changes nothing.
 */
export function planUnits(input: PlanInput): readonly PlannedUnit[] {
  const previous = new Map(input.previous.map((unit) => [unit.id, unit]));
  const wanted = new Set(input.desired.map((unit) => unit.spec.id));
  const planned = input.desired.map((unit) => planWanted(unit, previous.get(unit.spec.id), input));
  const gone = input.previous.filter((unit) => !wanted.has(unit.id)).map((unit) => planGone(unit, input));
  return [...planned, ...gone];
}

export function summarise(planned: readonly PlannedUnit[], refused: number): PlanSummary {
  const count = (action: UnitChange['action']) => planned.filter((unit) => unit.change.action === action).length;
  return {
    create: count('create'),
    update: count('update'),
    unchanged: count('unchanged'),
    prune: count('prune'),
    keep: count('keep'),
    hold: count('hold'),
    refused,
  };
}

export function verdictOf(summary: PlanSummary): 'clean' | 'changes' | 'held' | 'refused' {
  if (summary.refused > 0) return 'refused';
  if (summary.hold > 0) return 'held';
  return summary.create + summary.update + summary.prune > 0 ? 'changes' : 'clean';
}

function planWanted(unit: DesiredUnit, before: UnitState | undefined, input: PlanInput): PlannedUnit {
  const apply = { intent: 'apply', desired: unit } as const;
  if (before === undefined || before.intent === 'delete') {
    const layout = compareLayouts(null, unit.layout);
    const data = dataOf(
      null,
      unit.layout,
      layout,
      null,
      'A new grid is laid out; volumes of an earlier one are found again.',
    );
    const reason = before === undefined ? 'It is new.' : 'It is wanted again.';
    return { change: changeOf(unit, 'create', reason, diff({}, unit.spec), data), next: apply };
  }
  const layout = compareLayouts(before.layout, unit.layout);
  const changes = diff(before.spec, unit.spec);
  if (before.digest === unit.digest) {
    const data = dataOf(before.layout, unit.layout, layout, null, 'Nothing moves.');
    const reason = before.intent === 'keep' ? 'It is wanted again, as it is.' : 'Nothing differs.';
    return { change: changeOf(unit, 'unchanged', reason, [], data), next: apply };
  }
  const objects = before.attempted ? (input.objects.get(unit.spec.id) ?? null) : 0;
  if (layout.moves && objects !== 0) {
    const confirm = `relayout ${label(before)} ${unit.digest.slice(0, 8)}`;
    const reason = `The layout changes (${layout.summary}) and ${holding(objects)}.`;
    const data = dataOf(
      before.layout,
      unit.layout,
      layout,
      objects,
      'Objects would have to move to other shards; nothing happens unless confirmed.',
    );
    const hold: Hold = { action: 'relayout', reason, confirm, pending: unit };
    return { change: { ...changeOf(unit, 'hold', reason, changes, data), confirm }, next: { intent: 'stay', hold } };
  }
  const effect = layout.moves ? 'The grid holds no objects and is laid out anew.' : 'Objects stay where they are.';
  const data = dataOf(before.layout, unit.layout, layout, layout.moves ? objects : null, effect);
  const reason = `${String(changes.length)} ${changes.length === 1 ? 'field differs' : 'fields differ'}.`;
  return { change: changeOf(unit, 'update', reason, changes, data), next: apply };
}

function planGone(unit: UnitState, input: PlanInput): PlannedUnit {
  const objects = unit.attempted ? (input.objects.get(unit.id) ?? null) : 0;
  const layout = compareLayouts(unit.layout, null);
  const change = (action: UnitChange['action'], reason: string, effect: string): UnitChange => {
    const removed = action === 'prune' || action === 'hold';
    const data = removed
      ? dataOf(unit.layout, null, layout, objects, effect)
      : dataOf(unit.layout, unit.layout, compareLayouts(unit.layout, unit.layout), null, effect);
    return changeOf(describeState(unit), action, reason, [], data);
  };
  if (unit.intent === 'delete') {
    return { change: change('prune', 'It is being removed.', 'Its volumes stay.'), next: { intent: 'delete' } };
  }
  if (policyOf(unit, input.prune) === 'keep') {
    const reason = 'It is no longer in the repository; the prune policy is keep.';
    return { change: change('keep', reason, 'Nothing moves; it keeps running.'), next: { intent: 'keep', hold: null } };
  }
  if (objects === 0 && !input.emptied) {
    const reason = 'It is no longer in the repository; the prune policy is delete.';
    const effect = unit.attempted ? 'Its shards hold no objects; its volumes stay.' : 'It never ran.';
    return { change: change('prune', reason, effect), next: { intent: 'delete' } };
  }
  const reason = input.emptied
    ? 'No package is left in the repository, which may be a mistake.'
    : `It is no longer in the repository, but ${holding(objects)}.`;
  const confirm = `delete ${label(unit)}`;
  const hold: Hold = { action: 'prune', reason, confirm, pending: null };
  const shown = change('hold', reason, 'It keeps running unless confirmed; its volumes stay even then.');
  return { change: { ...shown, confirm }, next: { intent: 'keep', hold } };
}

function policyOf(unit: UnitState, source: 'delete' | 'keep'): 'delete' | 'keep' {
  return unit.prune ?? source;
}

function holding(objects: number | null): string {
  if (objects === null) return 'its grid cannot be asked for its objects';
  return `its shards hold ${String(objects)} ${objects === 1 ? 'object' : 'objects'}`;
}

function label(unit: UnitState): string {
  return `${unit.spec.package_name}/${unit.spec.class_key} in ${unit.spec.target_env}`;
}

function describeState(unit: UnitState): Pick<DesiredUnit, 'spec' | 'deploymentKey' | 'path'> {
  return unit;
}

function changeOf(
  unit: Pick<DesiredUnit, 'spec' | 'deploymentKey' | 'path'>,
  action: UnitChange['action'],
  reason: string,
  changes: UnitChange['changes'],
  data: UnitChange['data'],
): UnitChange {
  return {
    unit_id: unit.spec.id,
    package_name: unit.spec.package_name,
    class_key: unit.spec.class_key,
    environment: unit.spec.target_env,
    deployment_key: unit.deploymentKey,
    path: unit.path,
    action,
    reason,
    changes,
    data,
    confirm: null,
  };
}

function dataOf(
  before: UnitState['layout'] | null,
  after: UnitState['layout'] | null,
  change: LayoutChange,
  objects: number | null,
  effect: string,
): UnitChange['data'] {
  return {
    before: layoutView(before),
    after: layoutView(after),
    shards_added: change.shardsAdded,
    shards_removed: change.shardsRemoved,
    replicas_added: change.replicasAdded,
    replicas_removed: change.replicasRemoved,
    objects,
    effect,
  };
}
