import type { GridLayout } from '../../record/index.ts';
import type { DesiredUnit, UnitSpec } from './unit.ts';

/** Who decides about a package: a Git source, or whoever calls the REST API. */
export type Owner = { readonly type: 'git'; readonly source: string } | { readonly type: 'api' };

export function ownerKey(owner: Owner): string {
  return owner.type === 'git' ? `git:${owner.source}` : 'api';
}

export function ownerLabel(owner: Owner): string {
  return owner.type === 'git' ? `the source "${owner.source}"` : 'the API';
}

/** What a held action waits for. */
export interface Hold {
  readonly action: 'prune' | 'relayout';
  readonly reason: string;
  /** Text that releases it. */
  readonly confirm: string;
  /** What is applied once it is released; null: the unit is removed. */
  readonly pending: DesiredUnit | null;
}

/**
 * What PM wants of one unit, as stored. `apply`: the cluster shall have `spec`. `keep`: no longer wanted, left as it is. `delete`:
 * the cluster shall not have it; forgotten once that is so.
 */
export interface UnitState {
  readonly id: string;
  readonly owner: Owner;
  readonly intent: 'apply' | 'keep' | 'delete';
  readonly spec: UnitSpec;
  readonly digest: string;
  readonly layout: GridLayout;
  readonly deploymentKey: string;
  readonly path: string;
  readonly prune: 'delete' | 'keep' | undefined;
  /** Grows by 1 with each new digest. */
  readonly generation: number;
  /** Commit that last changed the digest; null for the API. */
  readonly commit: string | null;
  readonly ref: string;
  readonly repo: string;
  readonly hold: Hold | null;
  /** Whether a cluster was ever asked to run it: if not, there is nothing to lose. */
  readonly attempted: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
}
