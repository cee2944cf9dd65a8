import type { Commit, Plan, SyncRun } from '@oaas/commons/client/pm';
import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import type { Owner } from '../model/state.ts';
import { carryOut } from '../plan/commit.ts';
import { conditionsOf, type GitTrouble } from './conditions.ts';
import type { PmMetrics } from './metrics.ts';
import type { Planned, Planner } from './planner.ts';
import type { RunTracker } from './runs.ts';
import type { PackageState, PmState, SourceState } from './state.ts';

export interface TakeOptions {
  /** Name of the source. */
  readonly name: string;
  readonly state: PmState;
  readonly planner: Planner;
  readonly runs: RunTracker;
  readonly metrics: PmMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Hands units to their clusters. */
  readonly enqueue: (ids: readonly string[]) => void;
}

/** A commit that was planned, and what led to it. */
export interface PlannedCommit {
  readonly commit: Commit;
  readonly planned: Planned;
  readonly trigger: SyncRun['trigger'];
  readonly actor: string;
  /** When the commit was first seen, in milliseconds since the Unix epoch. */
  readonly detectedAtMs: number;
  /** What is wrong with the repository at this moment. */
  readonly trouble: GitTrouble | undefined;
}

/**
 * Makes a planned commit what PM wants from now on: stores its units, packages, plan and run as one change, then hands the
 * units to their clusters. A commit with a refused document changes nothing of that; its plan and run are kept as history.
 */
export async function takeCommit(options: TakeOptions, given: PlannedCommit): Promise<void> {
  const { name, state, clock, logger } = options;
  const source = state.source(name);
  // Deleted while its commit was planned.
  if (source === undefined) return;
  const at = toRfc3339(clock.now());
  if (given.planned.plan.verdict === 'refused') {
    const message = await refuse(options, given, source, at);
    const { refused } = given.planned.plan.summary;
    logger.warn({ source: name, commit: given.commit.id, refused, first: message }, 'a commit is refused');
  } else {
    await accept(options, given, source, at);
  }
}

async function refuse(options: TakeOptions, given: PlannedCommit, source: SourceState, at: string): Promise<string> {
  const { state, runs, clock, name } = options;
  const { plan } = given.planned;
  const first = plan.documents.flatMap((each) => each.problems).find((each) => each.severity === 'error');
  const message =
    first === undefined
      ? 'Documents are refused.'
      : `${first.path}:${String(first.line)}:${String(first.column)}: ${first.message}`;
  const refused: SyncRun = {
    ...runOf(options, given),
    phase: 'Refused',
    message,
    finished_at: at,
    duration_ms: clock.now() - given.detectedAtMs,
  };
  runs.supersede(name);
  await state.apply({
    plans: [plan],
    runs: [refused],
    sources: [attempted(source, given, 'refused', message, at)],
  });
  return message;
}

async function accept(options: TakeOptions, given: PlannedCommit, source: SourceState, at: string): Promise<void> {
  const { name, state, runs, planner, metrics, logger, enqueue } = options;
  const { commit, planned, trigger } = given;
  const { plan } = planned;
  const owner: Owner = { type: 'git', source: name };
  const provenance = { owner, commit: commit.id, ref: commit.ref, repo: source.input.url, at };
  const changes = carryOut(state.unitsOf(owner), planned.units, provenance, planner.clusters);
  // A look at the same commit again, by itself and with nothing to do, is no event of anybody's history.
  const isNews = source.attempted?.id !== commit.id || changes.units.length > 0 || changes.forgetUnits.length > 0;
  const isWanted = isNews || (trigger !== 'startup' && trigger !== 'poll');
  const run = runOf(options, given);
  const message = `Applying ${String(plan.summary.create + plan.summary.update + plan.summary.prune)} changes.`;
  await state.apply({
    ...changes,
    ...packageChanges(state, owner, planned, commit, at),
    ...(isWanted ? { plans: [plan], runs: [run] } : {}),
    sources: [
      isWanted
        ? attempted(source, given, 'applying', message, at)
        : { ...source, observed: source.observed?.id === commit.id ? commit : source.observed },
    ],
  });
  for (const { change } of planned.units) {
    if (change.action === 'unchanged')
      metrics.syncs.inc({ package: change.package_name, env: change.environment, phase: 'unchanged' });
  }
  logger.info({ source: name, commit: commit.id, trigger, ...plan.summary }, 'a commit is planned');
  const units = state.unitsOf(owner);
  const unfinished = state.runs(name).find((each) => each.phase === 'Running' && each.commit.id === commit.id);
  const tracked = isWanted ? run : unfinished;
  if (tracked !== undefined) runs.begin(tracked, units);
  enqueue(planned.resolution.units.map((unit) => unit.spec.id));
  enqueue(units.filter((unit) => unit.intent === 'delete').map((unit) => unit.id));
}

function attempted(
  source: SourceState,
  { commit, planned, trouble }: PlannedCommit,
  outcome: SourceState['outcome'],
  message: string,
  at: string,
): SourceState {
  const next: SourceState = {
    ...source,
    observed: source.observed === null || source.observed.id === commit.id ? commit : source.observed,
    attempted: commit,
    outcome,
    message,
    planId: planned.plan.id,
    planSummary: planned.plan.summary,
    updatedAt: at,
  };
  return { ...next, conditions: conditionsOf(next, trouble, undefined, at) };
}

function packageChanges(
  state: PmState,
  owner: Owner,
  planned: Planned,
  commit: Commit,
  at: string,
): { packages: readonly PackageState[]; forgetPackages: readonly string[] } {
  const packages = planned.resolution.packages.flatMap(
    ({ spec, deployments, digest, path }): readonly PackageState[] => {
      const before = state.package(spec.name);
      if (before?.digest === digest && before.path === path) return [];
      const createdAt = before?.createdAt ?? at;
      const commitId = commit.id;
      return [{ spec, deployments, digest, path, owner, commit: commitId, actor: null, createdAt, updatedAt: at }];
    },
  );
  const names = new Set(planned.resolution.packages.map((each) => each.spec.name));
  const gone = state.packagesOf(owner).filter((each) => !names.has(each.spec.name));
  return { packages, forgetPackages: gone.map((each) => each.spec.name) };
}

function runOf(
  { name, planner }: TakeOptions,
  { commit, planned, trigger, actor, detectedAtMs }: PlannedCommit,
): SyncRun {
  const { plan }: { plan: Plan } = planned;
  return {
    id: planner.newId(),
    source: name,
    commit,
    trigger,
    actor,
    phase: 'Running',
    message: '',
    plan_id: plan.id,
    summary: plan.summary,
    clusters: [],
    started_at: toRfc3339(detectedAtMs),
    finished_at: null,
    duration_ms: null,
  };
}
