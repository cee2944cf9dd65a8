import { type Owner, ownerKey, type UnitState } from '../model/state.ts';
import type { DesiredUnit } from '../model/unit.ts';
import { canonicalJson } from '../digest.ts';
import type { PlannedUnit } from './plan.ts';

/** Where a wish comes from: what is written into the units that change. */
export interface Provenance {
  readonly owner: Owner;
  readonly commit: string | null;
  readonly ref: string;
  readonly repo: string;
  /** RFC 3339. */
  readonly at: string;
}

export interface UnitChanges {
  readonly units: readonly UnitState[];
  readonly forgetUnits: readonly string[];
}

/** The states that follow from a plan. Units that stay as they are do not appear. */
export function carryOut(
  previous: readonly UnitState[],
  planned: readonly PlannedUnit[],
  from: Provenance,
  clusters: readonly string[],
): UnitChanges {
  const before = new Map(previous.map((unit) => [unit.id, unit]));
  const units: UnitState[] = [];
  const forgetUnits: string[] = [];
  const put = (state: UnitState) => {
    const old = before.get(state.id);
    if (old === undefined || canonicalJson({ ...old, updatedAt: '' }) !== canonicalJson({ ...state, updatedAt: '' }))
      units.push(state);
  };
  for (const { change, next } of planned) {
    const old = before.get(change.unit_id);
    switch (next.intent) {
      case 'apply':
        put(applied(old, next.desired, from, clusters));
        break;
      case 'delete':
        if (old?.attempted === true) put({ ...old, intent: 'delete', hold: null, updatedAt: from.at });
        else forgetUnits.push(change.unit_id);
        break;
      case 'keep':
        if (old !== undefined) put({ ...old, intent: 'keep', hold: next.hold, updatedAt: from.at });
        break;
      case 'stay':
        if (old !== undefined) put({ ...old, hold: next.hold, updatedAt: from.at });
        break;
    }
  }
  return { units, forgetUnits };
}

/** What becomes of a unit when somebody confirms the action that it holds. */
export function release(unit: UnitState, from: Omit<Provenance, 'owner'>, clusters: readonly string[]): UnitState {
  const pending = unit.hold?.pending ?? null;
  if (pending === null) return { ...unit, intent: 'delete', hold: null, updatedAt: from.at };
  return applied(unit, pending, { ...from, owner: unit.owner }, clusters);
}

function applied(
  old: UnitState | undefined,
  desired: DesiredUnit,
  from: Provenance,
  clusters: readonly string[],
): UnitState {
  const isSame = old?.digest === desired.digest && ownerKey(old.owner) === ownerKey(from.owner);
  return {
    id: desired.spec.id,
    owner: from.owner,
    intent: 'apply',
    spec: desired.spec,
    digest: desired.digest,
    layout: desired.layout,
    deploymentKey: desired.deploymentKey,
    path: desired.path,
    prune: desired.prune,
    generation: isSame ? old.generation : (old?.generation ?? 0) + 1,
    commit: isSame ? old.commit : from.commit,
    ref: isSame ? old.ref : from.ref,
    repo: from.repo,
    hold: null,
    attempted: old?.attempted === true || clusters.includes(desired.spec.target_env),
    createdAt: old?.createdAt ?? from.at,
    updatedAt: from.at,
  };
}
