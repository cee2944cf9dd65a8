import { gunzipSync, gzipSync } from 'node:zlib';
import type { Commit, Condition, Plan, PlanSummary, SourceInput, SyncRun } from '@oaas/commons/client/pm';
import { type JsonValue, oaasError } from '@oaas/commons/errors';
import type { Store } from '../../store/index.ts';
import type { ClassDeploymentSpec, PackageSpec } from '../model/schema.ts';
import { type Owner, ownerKey, ownerLabel, type UnitState } from '../model/state.ts';
import type { ForeignPackage } from '../resolve/resolve.ts';

export interface PackageState {
  readonly spec: PackageSpec;
  /** Those inside the package and those beside it. */
  readonly deployments: readonly ClassDeploymentSpec[];
  readonly owner: Owner;
  readonly digest: string;
  readonly path: string;
  readonly commit: string | null;
  readonly actor: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface SourceState {
  /** With its secrets: they never leave PM. */
  readonly input: SourceInput;
  readonly suspended: { readonly by: string; readonly reason: string; readonly at: string } | null;
  readonly pinned: { readonly commit: string; readonly by: string; readonly at: string } | null;
  readonly observed: Commit | null;
  readonly attempted: Commit | null;
  readonly applied: Commit | null;
  /** What became of `attempted`. */
  readonly outcome: 'none' | 'refused' | 'applying' | 'synced' | 'failed';
  readonly message: string;
  readonly conditions: readonly Condition[];
  readonly planId: string | null;
  readonly planSummary: PlanSummary | null;
  readonly lastDeliveryAt: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** What is kept of each source; older ones are deleted. */
export const historyMax = { runs: 50, plans: 20 } as const;

export interface StateChange {
  readonly sources?: readonly SourceState[];
  readonly units?: readonly UnitState[];
  readonly forgetUnits?: readonly string[];
  readonly packages?: readonly PackageState[];
  readonly forgetPackages?: readonly string[];
  readonly runs?: readonly SyncRun[];
  readonly plans?: readonly Plan[];
}

/**
 * Everything that PM knows, in memory, and written through to the store: memory changes only after the store has taken it, in the
 * order of the calls.
 */
export class PmState {
  readonly #store: Store;
  readonly #sources = new Map<string, SourceState>();
  readonly #units = new Map<string, UnitState>();
  readonly #packages = new Map<string, PackageState>();
  /** By source, oldest first. */
  readonly #runs = new Map<string, SyncRun[]>();
  readonly #plans = new Map<string, string[]>();
  readonly #listeners = new Set<(change: StateChange) => void>();
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(store: Store) {
    this.#store = store;
  }

  static async load(store: Store): Promise<PmState> {
    const state = new PmState(store);
    for (const value of await readAll(store, 'source/')) state.#putSource(value as unknown as SourceState);
    for (const value of await readAll(store, 'unit/')) state.#putUnit(value as unknown as UnitState);
    for (const value of await readAll(store, 'package/')) state.#putPackage(value as unknown as PackageState);
    for (const value of await readAll(store, 'run/')) state.#putRun(value as unknown as SyncRun);
    for (const value of await readAll(store, 'planof/')) {
      const { source, id } = value as { source: string; id: string };
      state.#plans.set(source, [...(state.#plans.get(source) ?? []), id]);
    }
    return state;
  }

  source(name: string): SourceState | undefined {
    return this.#sources.get(name);
  }
  sources(): IterableIterator<SourceState> {
    return this.#sources.values();
  }
  unit(id: string): UnitState | undefined {
    return this.#units.get(id);
  }
  units(): IterableIterator<UnitState> {
    return this.#units.values();
  }
  unitsOf(owner: Owner): readonly UnitState[] {
    const key = ownerKey(owner);
    return [...this.#units.values()].filter((unit) => ownerKey(unit.owner) === key);
  }
  package(name: string): PackageState | undefined {
    return this.#packages.get(name);
  }
  packages(): IterableIterator<PackageState> {
    return this.#packages.values();
  }
  get packageCount(): number {
    return this.#packages.size;
  }
  packagesOf(owner: Owner): readonly PackageState[] {
    const key = ownerKey(owner);
    return [...this.#packages.values()].filter((each) => ownerKey(each.owner) === key);
  }
  /** Packages of everyone else, as `resolve` wants them. */
  foreignTo(owner: Owner): ReadonlyMap<string, ForeignPackage> {
    const key = ownerKey(owner);
    const foreign = new Map<string, ForeignPackage>();
    for (const [name, each] of this.#packages) {
      if (ownerKey(each.owner) === key) continue;
      foreign.set(name, { name, dependencies: each.spec.dependencies, owner: ownerLabel(each.owner) });
    }
    return foreign;
  }
  /** Newest first. */
  runs(source: string): readonly SyncRun[] {
    return [...(this.#runs.get(source) ?? [])].reverse();
  }
  allRuns(): readonly SyncRun[] {
    return [...this.#runs.values()].flat();
  }
  /** The newest first. */
  planIds(source: string): readonly string[] {
    return [...(this.#plans.get(source) ?? [])].reverse();
  }

  async plan(id: string): Promise<Plan | undefined> {
    const entry = await this.#store.get(`plan/${id}`);
    if (entry === undefined) return undefined;
    return JSON.parse(gunzipSync(Buffer.from(entry.value as string, 'base64')).toString('utf8')) as Plan;
  }

  /** Told after each change. */
  onChange(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stores a change as a whole, then shows it. */
  apply(change: StateChange): Promise<void> {
    const result = this.#writing.then(() => this.#apply(change));
    this.#writing = result.catch(() => undefined);
    return result;
  }

  /** Changes one source from what it is when its turn comes. Rejects with `NotFound` where it is gone. */
  updateSource(name: string, change: (before: SourceState) => SourceState): Promise<SourceState> {
    const result = this.#writing.then(async () => {
      const before = this.#sources.get(name);
      if (before === undefined) throw oaasError('NotFound', `there is no source "${name}"`);
      const after = change(before);
      if (after !== before) await this.#apply({ sources: [after] });
      return after;
    });
    this.#writing = result.catch(() => undefined);
    return result;
  }

  /** Forgets a unit whose removal is done, unless it is wanted again by then. */
  forgetDeleted(id: string): Promise<void> {
    const result = this.#writing.then(async () => {
      if (this.#units.get(id)?.intent === 'delete') await this.#apply({ forgetUnits: [id] });
    });
    this.#writing = result.catch(() => undefined);
    return result;
  }

  /** Removes a source with its history. Its packages and units are the caller's to decide. */
  async removeSource(name: string, also: StateChange): Promise<void> {
    await this.apply(also);
    const runs = (this.#runs.get(name) ?? []).map((run) => runKey(run));
    const plans = (this.#plans.get(name) ?? []).flatMap((id) => [`plan/${id}`, planOfKey(name, id)]);
    await this.#store.transaction({ delete: [`source/${name}`, ...runs, ...plans] });
    this.#sources.delete(name);
    this.#runs.delete(name);
    this.#plans.delete(name);
  }

  async #apply(change: StateChange): Promise<void> {
    const put: Record<string, JsonValue> = {};
    const remove: string[] = [];
    const json = (value: unknown) => value as JsonValue;
    for (const each of change.sources ?? []) put[`source/${each.input.name}`] = json(each);
    for (const each of change.units ?? []) put[`unit/${each.id}`] = json(each);
    for (const id of change.forgetUnits ?? []) remove.push(`unit/${id}`);
    for (const each of change.packages ?? []) put[`package/${each.spec.name}`] = json(each);
    for (const name of change.forgetPackages ?? []) remove.push(`package/${name}`);
    for (const each of change.runs ?? []) put[runKey(each)] = json(each);
    for (const plan of change.plans ?? []) {
      put[`plan/${plan.id}`] = gzipSync(JSON.stringify(plan)).toString('base64');
      put[planOfKey(plan.source, plan.id)] = { source: plan.source, id: plan.id };
    }
    const expired = [...this.#expiredRuns(change), ...this.#expiredPlans(change)];
    await this.#store.transaction({ put, delete: [...remove, ...expired] });
    this.#show(change);
  }

  #show(change: StateChange): void {
    for (const each of change.sources ?? []) this.#putSource(each);
    for (const each of change.units ?? []) this.#putUnit(each);
    for (const id of change.forgetUnits ?? []) this.#units.delete(id);
    for (const each of change.packages ?? []) this.#putPackage(each);
    for (const name of change.forgetPackages ?? []) this.#packages.delete(name);
    for (const each of change.runs ?? []) this.#putRun(each);
    for (const { source, id } of change.plans ?? []) {
      this.#plans.set(source, [...(this.#plans.get(source) ?? []), id].slice(-historyMax.plans));
    }
    for (const listener of this.#listeners) listener(change);
  }

  #expiredRuns(change: StateChange): readonly string[] {
    return (change.runs ?? []).flatMap((run) => {
      const known = this.#runs.get(run.source) ?? [];
      if (known.some((each) => each.id === run.id)) return [];
      return known.slice(0, Math.max(0, known.length + 1 - historyMax.runs)).map(runKey);
    });
  }

  #expiredPlans(change: StateChange): readonly string[] {
    return (change.plans ?? []).flatMap(({ source }) => {
      const known = this.#plans.get(source) ?? [];
      const old = known.slice(0, Math.max(0, known.length + 1 - historyMax.plans));
      return old.flatMap((id) => [`plan/${id}`, planOfKey(source, id)]);
    });
  }

  #putSource(source: SourceState): void {
    this.#sources.set(source.input.name, source);
  }
  #putUnit(unit: UnitState): void {
    this.#units.set(unit.id, unit);
  }
  #putPackage(each: PackageState): void {
    this.#packages.set(each.spec.name, each);
  }
  #putRun(run: SyncRun): void {
    const runs = this.#runs.get(run.source) ?? [];
    const at = runs.findIndex((each) => each.id === run.id);
    if (at >= 0) runs[at] = run;
    else runs.push(run);
    this.#runs.set(run.source, runs.slice(-historyMax.runs));
  }
}

/** Ids of runs and plans begin with the time, so that the order of the keys is that of their creation. */
function runKey(run: SyncRun): string {
  return `run/${run.source}/${run.id}`;
}
function planOfKey(source: string, id: string): string {
  return `planof/${source}/${id}`;
}

async function readAll(store: Store, prefix: string): Promise<readonly JsonValue[]> {
  const values: JsonValue[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
    values.push(...page.entries.map((entry) => entry.value));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return values;
}
