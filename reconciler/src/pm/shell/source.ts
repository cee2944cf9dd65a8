import type { Commit, DocumentVerdict, Plan, SyncRun } from '@oaas/commons/client/pm';
import { isOaasError, type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { backoffDelay, type Clock, type Random, type Timer, type Timers, toRfc3339 } from '@oaas/commons/time';
import {
  type CheckResult,
  type CommitInfo,
  type GitRef,
  type GitSource,
  type Snapshot,
  SourceWatcher,
} from '../../git/index.ts';
import type { Owner } from '../model/state.ts';
import { type ParsedDocument, parseFile } from '../parse/parse.ts';
import { problem } from '../parse/issues.ts';
import { carryOut } from '../plan/commit.ts';
import { conditionsOf, type GitTrouble } from './conditions.ts';
import type { PmMetrics } from './metrics.ts';
import type { Planned, Planner } from './planner.ts';
import type { RunTracker } from './runs.ts';
import type { PackageState, PmState, SourceState } from './state.ts';

export interface SourceControllerOptions {
  readonly name: string;
  readonly git: GitSource;
  readonly state: PmState;
  readonly planner: Planner;
  readonly runs: RunTracker;
  readonly metrics: PmMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Hands units to their clusters. */
  readonly enqueue: (ids: readonly string[]) => void;
  /** Something that the source's view shows has changed. */
  readonly onChanged: () => void;
}

interface SyncRequest {
  readonly commit: string;
  readonly ref: GitRef;
  readonly trigger: SyncRun['trigger'];
  readonly actor: string;
  /** When the commit was first seen, in milliseconds since the Unix epoch. */
  readonly detectedAtMs: number;
}

/** What is known of a source only while PM runs. */
export interface SourceActivity {
  readonly busy: 'Fetching' | 'Planning' | undefined;
  readonly trouble: GitTrouble | undefined;
  readonly lastCheckedAtMs: number | undefined;
  readonly nextCheckAtMs: number | undefined;
}

const retry = { baseMs: 1000, maxMs: 300_000, factor: 2, jitter: 0.3 };
/** Files that are parsed before others get a turn: parsing 2,000 files at once would block everything for a second. */
const parsedAtOnce = 25;

/** One source: follows its ref, and takes the newest commit through plan and apply. A newer commit pre-empts an older one. */
export class SourceController {
  readonly #options: SourceControllerOptions;
  readonly #owner: Owner;
  readonly #watcher: SourceWatcher;
  readonly #abort = new AbortController();
  #parsed = new Map<string, readonly ParsedDocument[]>();
  #activity: SourceActivity = {
    busy: undefined,
    trouble: undefined,
    lastCheckedAtMs: undefined,
    nextCheckAtMs: undefined,
  };
  #manual: { readonly actor: string; readonly trigger: 'manual' | 'resume'; readonly atMs: number } | undefined;
  #next: SyncRequest | undefined;
  #current: { readonly request: SyncRequest; readonly abort: AbortController } | undefined;
  #work: Promise<void> = Promise.resolve();
  #retryTimer: Timer | undefined;
  #failures = 0;

  constructor(options: SourceControllerOptions) {
    this.#options = options;
    this.#owner = { type: 'git', source: options.name };
    this.#watcher = new SourceWatcher({
      source: measured(options.git, options),
      ref: refOf(this.#state.input.ref),
      intervalMs: this.#state.input.interval_seconds * 1000,
      clock: options.clock,
      timers: options.timers,
      random: options.random,
      onResult: (result) => {
        this.#checked(result).catch((error: unknown) => {
          options.logger.error({ err: error, source: options.name }, 'the result of a check could not be stored');
        });
      },
    });
  }

  get activity(): SourceActivity {
    return this.#activity;
  }

  start(): void {
    this.#watcher.start();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#retryTimer?.cancel();
    this.#current?.abort.abort();
    await this.#watcher.stop();
    await this.#work;
  }

  /** A webhook says that the repository has moved. */
  notified(): void {
    this.#watcher.trigger('webhook');
  }

  /** Somebody wants a sync now, also of the same commit. */
  requested(actor: string, trigger: 'manual' | 'resume'): void {
    this.#manual = { actor, trigger, atMs: this.#options.clock.now() };
    this.#watcher.trigger('manual');
  }

  /** Applies an older commit, at once, and without asking what the ref points at. */
  rollback(commit: string, actor: string): void {
    this.#request({
      commit,
      ref: refOf(this.#state.input.ref),
      trigger: 'rollback',
      actor,
      detectedAtMs: this.#options.clock.now(),
    });
  }

  /** Plans another ref. Nothing is applied. */
  async preview(ref: GitRef): Promise<Plan> {
    const { git, planner, state } = this.#options;
    const commit = await git.check(ref, this.#abort.signal);
    const snapshot = await git.snapshot(commit, ref, this.#abort.signal);
    const { documents, unread } = await this.#parse(snapshot, this.#abort.signal);
    const request = {
      owner: this.#owner,
      source: this.#options.name,
      commit: commitOf(snapshot.commit, ref),
      documents,
      unread,
      prune: this.#state.input.prune,
    };
    const { plan } = await planner.exclusive(() => planner.plan(request));
    await state.apply({ plans: [plan] });
    return plan;
  }

  get #state(): SourceState {
    const state = this.#options.state.source(this.#options.name);
    if (state === undefined) throw oaasError('NotFound', `there is no source "${this.#options.name}"`);
    return state;
  }

  async #checked(result: CheckResult): Promise<void> {
    const { clock, logger, name } = this.#options;
    const before = this.#activity.trouble;
    const { outcome } = result;
    const trouble =
      'commit' in outcome
        ? undefined
        : { code: outcome.error.code, message: outcome.error.message, isStalled: outcome.isStalled };
    this.#activity = { ...this.#activity, trouble, lastCheckedAtMs: clock.now(), nextCheckAtMs: result.nextCheckAtMs };
    if (trouble !== undefined) {
      if (before?.code !== trouble.code || before.isStalled !== trouble.isStalled) {
        logger.warn(
          { source: name, code: trouble.code, reason: trouble.message, stalled: trouble.isStalled },
          'a repository cannot be read',
        );
      }
      await this.#refreshConditions();
      return;
    }
    if (before !== undefined) logger.info({ source: name }, 'a repository can be read again');
    if ('commit' in outcome) await this.#seen(outcome.commit, result);
    if (before !== undefined) await this.#refreshConditions();
  }

  async #seen(commit: string, result: CheckResult): Promise<void> {
    const { name, state, clock } = this.#options;
    const source = this.#state;
    // A check that began before somebody asked does not answer them: one more follows.
    const manual = this.#manual !== undefined && result.requestedAtMs >= this.#manual.atMs ? this.#manual : undefined;
    if (this.#manual !== undefined && manual === undefined) return;
    this.#manual = undefined;
    if (source.observed?.id !== commit) {
      const placeholder = {
        id: commit,
        ref: refText(source.input.ref),
        message: '',
        author: '',
        committed_at: toRfc3339(clock.now()),
      };
      await state.updateSource(name, (each) => ({ ...each, observed: placeholder }));
      this.#options.onChanged();
    }
    if (source.suspended !== null || source.pinned !== null) {
      // A restart goes on with the pinned commit.
      if (source.pinned !== null && source.suspended === null && result.trigger === 'startup')
        this.rollback(source.pinned.commit, source.pinned.by);
      return;
    }
    const isNew = source.attempted?.id !== commit;
    if (!isNew && manual === undefined && result.trigger !== 'startup') return;
    this.#request({
      commit,
      ref: refOf(source.input.ref),
      trigger: manual?.trigger ?? (result.trigger === 'manual' ? 'poll' : result.trigger),
      actor: manual?.actor ?? 'system',
      detectedAtMs: result.requestedAtMs,
    });
  }

  /** Takes the newest request; one for another commit that is still being worked on is given up. */
  #request(request: SyncRequest): void {
    if (this.#abort.signal.aborted) return;
    const sameCommit = this.#current?.request.commit === request.commit;
    if (sameCommit && request.trigger === 'poll') return;
    this.#next = request;
    if (!sameCommit) this.#current?.abort.abort();
    this.#work = this.#work.then(() => this.#workOff());
  }

  async #workOff(): Promise<void> {
    const request = this.#next;
    if (request === undefined || this.#abort.signal.aborted) return;
    this.#next = undefined;
    this.#retryTimer?.cancel();
    const abort = new AbortController();
    this.#current = { request, abort };
    try {
      await this.#sync(request, abort.signal);
      this.#failures = 0;
    } catch (thrown) {
      if (!abort.signal.aborted) await this.#failed(request, toOaasError(thrown));
    } finally {
      this.#current = undefined;
      this.#busy(undefined);
    }
  }

  async #sync(request: SyncRequest, signal: AbortSignal): Promise<void> {
    const { git, planner } = this.#options;
    this.#busy('Fetching');
    const snapshot = await measured(git, this.#options).snapshot(request.commit, request.ref, signal);
    this.#busy('Planning');
    const { documents, unread } = await this.#parse(snapshot, signal);
    await planner.exclusive(async () => {
      signal.throwIfAborted();
      const commit = commitOf(snapshot.commit, request.ref);
      const planned = await planner.plan({
        owner: this.#owner,
        source: this.#options.name,
        commit,
        documents,
        unread,
        prune: this.#state.input.prune,
      });
      // From here on the commit counts, whatever comes after it.
      signal.throwIfAborted();
      await this.#commit(request, commit, planned);
    });
  }

  /** Reads and parses what is not known from an earlier commit: equal contents at the same path are the same documents. */
  async #parse(
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<{ documents: readonly ParsedDocument[]; unread: readonly DocumentVerdict[] }> {
    const parsed = new Map<string, readonly ParsedDocument[]>();
    const unread = snapshot.ignored.map(({ path, reason }) =>
      verdict(path, 'ignored', reason, 'Commit the content itself where it is meant.', 'PackageInvalid'),
    );
    let fresh = 0;
    for (const [path, oid] of snapshot.files) {
      const key = `${oid} ${path}`;
      let documents = this.#parsed.get(key);
      if (documents === undefined) {
        signal.throwIfAborted();
        try {
          documents = parseFile(path, Buffer.from(await snapshot.read(path)).toString('utf8'));
        } catch (error) {
          if (!isOaasError(error, 'PayloadTooLarge')) throw error;
          unread.push(verdict(path, 'refused', error.message, error.remedy ?? '', error.code));
          continue;
        }
        fresh += 1;
        if (fresh % parsedAtOnce === 0) await turn(this.#options.timers);
      }
      parsed.set(key, documents);
    }
    // What the newest snapshot does not have is forgotten, which bounds the cache by the limits of a repository.
    this.#parsed = parsed;
    return { documents: [...parsed.values()].flat(), unread };
  }

  async #commit(request: SyncRequest, commit: Commit, planned: Planned): Promise<void> {
    const { name, state, clock, runs, planner, metrics, logger } = this.#options;
    const { plan } = planned;
    const at = toRfc3339(clock.now());
    const run = this.#runFor(request, commit, plan);
    const source = this.#state;
    if (plan.verdict === 'refused') {
      const first = plan.documents.flatMap((each) => each.problems).find((each) => each.severity === 'error');
      const message =
        first === undefined
          ? 'Documents are refused.'
          : `${first.path}:${String(first.line)}:${String(first.column)}: ${first.message}`;
      const refused: SyncRun = {
        ...run,
        phase: 'Refused',
        message,
        finished_at: at,
        duration_ms: clock.now() - request.detectedAtMs,
      };
      runs.supersede(name);
      await state.apply({
        plans: [plan],
        runs: [refused],
        sources: [this.#attempted(source, commit, plan, 'refused', message, at)],
      });
      logger.warn(
        { source: name, commit: commit.id, refused: plan.summary.refused, first: message },
        'a commit is refused',
      );
      this.#options.onChanged();
      return;
    }
    const previous = state.unitsOf(this.#owner);
    const provenance = { owner: this.#owner, commit: commit.id, ref: commit.ref, repo: source.input.url, at };
    const changes = carryOut(previous, planned.units, provenance, planner.clusters);
    const isNews = source.attempted?.id !== commit.id || changes.units.length > 0 || changes.forgetUnits.length > 0;
    const isWanted = isNews || (request.trigger !== 'startup' && request.trigger !== 'poll');
    const message = `Applying ${String(plan.summary.create + plan.summary.update + plan.summary.prune)} changes.`;
    await state.apply({
      ...changes,
      ...this.#packageChanges(planned, commit, at),
      ...(isWanted ? { plans: [plan], runs: [run] } : {}),
      sources: [
        isWanted
          ? this.#attempted(source, commit, plan, 'applying', message, at)
          : { ...source, observed: source.observed?.id === commit.id ? commit : source.observed },
      ],
    });
    for (const { change } of planned.units) {
      if (change.action === 'unchanged')
        metrics.syncs.inc({ package: change.package_name, env: change.environment, phase: 'unchanged' });
    }
    logger.info({ source: name, commit: commit.id, trigger: request.trigger, ...plan.summary }, 'a commit is planned');
    const units = state.unitsOf(this.#owner);
    const unfinished = state.runs(name).find((each) => each.phase === 'Running' && each.commit.id === commit.id);
    const tracked = isWanted ? run : unfinished;
    if (tracked !== undefined) runs.begin(tracked, units);
    this.#options.enqueue(planned.resolution.units.map((unit) => unit.spec.id));
    this.#options.enqueue(units.filter((unit) => unit.intent === 'delete').map((unit) => unit.id));
    this.#options.onChanged();
  }

  #attempted(
    source: SourceState,
    commit: Commit,
    plan: Plan,
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
      planId: plan.id,
      planSummary: plan.summary,
      updatedAt: at,
    };
    return { ...next, conditions: conditionsOf(next, this.#activity.trouble, undefined, at) };
  }

  #packageChanges(
    planned: Planned,
    commit: Commit,
    at: string,
  ): { packages: readonly PackageState[]; forgetPackages: readonly string[] } {
    const { state } = this.#options;
    const packages = planned.resolution.packages.flatMap(
      ({ spec, deployments, digest, path }): readonly PackageState[] => {
        const before = state.package(spec.name);
        if (before?.digest === digest && before.path === path) return [];
        const createdAt = before?.createdAt ?? at;
        return [
          {
            spec,
            deployments,
            digest,
            path,
            owner: this.#owner,
            commit: commit.id,
            actor: null,
            createdAt,
            updatedAt: at,
          },
        ];
      },
    );
    const names = new Set(planned.resolution.packages.map((each) => each.spec.name));
    const gone = state.packagesOf(this.#owner).filter((each) => !names.has(each.spec.name));
    return { packages, forgetPackages: gone.map((each) => each.spec.name) };
  }

  #runFor(request: SyncRequest, commit: Commit, plan: Plan): SyncRun {
    return {
      id: this.#options.planner.newId(),
      source: this.#options.name,
      commit,
      trigger: request.trigger,
      actor: request.actor,
      phase: 'Running',
      message: '',
      plan_id: plan.id,
      summary: plan.summary,
      clusters: [],
      started_at: toRfc3339(request.detectedAtMs),
      finished_at: null,
      duration_ms: null,
    };
  }

  /** A commit that is known of could not be read. It is tried again, less and less often. */
  async #failed(request: SyncRequest, error: OaasError): Promise<void> {
    const { logger, name, timers, random } = this.#options;
    this.#failures += 1;
    this.#activity = {
      ...this.#activity,
      trouble: { code: error.code, message: error.message, isStalled: error.consequence === 'stop' },
    };
    logger.warn({ err: error, source: name, commit: request.commit }, 'a commit could not be read');
    if (error.consequence !== 'stop') {
      this.#retryTimer = timers.after(backoffDelay(this.#failures - 1, retry, random), () => {
        if (this.#next === undefined) this.#request(request);
      });
    }
    await this.#refreshConditions();
  }

  #busy(busy: SourceActivity['busy']): void {
    if (this.#activity.busy === busy) return;
    // Reading and planning went well: what was wrong before is over.
    const trouble = busy === 'Planning' ? undefined : this.#activity.trouble;
    this.#activity = { ...this.#activity, busy, trouble };
    this.#options.onChanged();
  }

  async #refreshConditions(): Promise<void> {
    const at = toRfc3339(this.#options.clock.now());
    await this.#options.state
      .updateSource(this.#options.name, (before) => {
        const conditions = conditionsOf(before, this.#activity.trouble, undefined, at);
        const isSame =
          conditions.length === before.conditions.length &&
          conditions.every((each, index) => each === before.conditions[index]);
        return isSame ? before : { ...before, conditions: [...conditions] };
      })
      .catch((error: unknown) => {
        if (!isOaasError(error, 'NotFound')) throw error;
      });
    this.#options.onChanged();
  }
}

/** Exactly one of the three; without any, the branch main. */
export function refOf(ref: {
  readonly branch?: string | undefined;
  readonly tag?: string | undefined;
  readonly commit?: string | undefined;
}): GitRef {
  if (ref.commit !== undefined) return { type: 'commit', name: ref.commit };
  if (ref.tag !== undefined) return { type: 'tag', name: ref.tag };
  return { type: 'branch', name: ref.branch ?? 'main' };
}

export function refText(ref: Parameters<typeof refOf>[0]): string {
  return refOf(ref).name;
}

function commitOf(info: CommitInfo, ref: GitRef): Commit {
  return {
    id: info.id,
    ref: ref.name,
    message: info.message,
    author: info.author,
    committed_at: toRfc3339(info.committedAtMs),
  };
}

function verdict(
  path: string,
  kind: 'ignored' | 'refused',
  message: string,
  remedy: string,
  code: string,
): DocumentVerdict {
  const severity = kind === 'refused' ? 'error' : 'warning';
  return {
    path,
    line: 1,
    kind: 'Unknown',
    name: '',
    verdict: kind,
    problems: [problem({ severity, code, message, remedy, path, at: { line: 1, column: 1 } })],
  };
}

function turn(timers: Timers): Promise<void> {
  return new Promise((resolve) => {
    timers.after(0, resolve);
  });
}

/** The same source, with its requests counted. */
function measured(git: GitSource, { metrics, clock, name }: SourceControllerOptions): GitSource {
  const count = async <T>(type: 'check' | 'fetch', run: () => Promise<T>): Promise<T> => {
    const startedAt = clock.monotonic();
    let result: 'ok' | 'error' = 'error';
    try {
      const value = await run();
      result = 'ok';
      return value;
    } finally {
      metrics.gitRequests.inc({ repo: name, type, result });
      metrics.gitDuration.observe({ type }, (clock.monotonic() - startedAt) / 1000);
    }
  };
  return {
    ...git,
    check: (ref, signal) => count('check', () => git.check(ref, signal)),
    snapshot: (commit, ref, signal) => count('fetch', () => git.snapshot(commit, ref, signal)),
  };
}
