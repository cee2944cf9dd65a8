import type { Plan, SyncRun } from '@oaas/commons/client/pm';
import { isOaasError, type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import { backoffDelay, type Random, type Timer, type Timers, toRfc3339 } from '@oaas/commons/time';
import { type CheckResult, type GitRef, type GitSource, type Snapshot, SourceWatcher } from '../../git/index.ts';
import { conditionsOf, type GitTrouble } from './conditions.ts';
import { DocumentReader, withFrames } from './document-reader.ts';
import type { Planned } from './planner.ts';
import { commitOf, refOf, refText } from './refs.ts';
import type { SourceState } from './state.ts';
import { takeCommit, type TakeOptions } from './take-commit.ts';

export interface SourceControllerOptions extends TakeOptions {
  readonly git: GitSource;
  readonly timers: Timers;
  readonly random: Random;
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

/** One source: follows its ref, and takes the newest commit through plan and apply. A newer commit pre-empts an older one. */
export class SourceController {
  readonly #options: SourceControllerOptions;
  readonly #documents: DocumentReader;
  readonly #watcher: SourceWatcher;
  readonly #abort = new AbortController();
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
    this.#documents = new DocumentReader(options.timers);
    this.#watcher = new SourceWatcher({
      source: options.git,
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
    const { signal } = this.#abort;
    const commit = await git.check(ref, signal);
    const snapshot = await git.snapshot(commit, ref, signal);
    // Read apart: what the source's own commits hold stays at hand.
    const plan = await this.#planner(snapshot, ref, new DocumentReader(this.#options.timers), signal);
    const { plan: made } = await planner.exclusive(plan);
    await state.apply({ plans: [made] });
    return made;
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
    // A push is seen twice, by the webhook and by a poll; only people ask for the same commit again.
    const isUnderWay = sameCommit || this.#next?.commit === request.commit;
    if (isUnderWay && (request.trigger === 'poll' || request.trigger === 'webhook')) return;
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
    const snapshot = await git.snapshot(request.commit, request.ref, signal);
    this.#busy('Planning');
    const plan = await this.#planner(snapshot, request.ref, this.#documents, signal);
    await planner.exclusive(async () => {
      signal.throwIfAborted();
      const planned = await plan();
      // From here on the commit counts, whatever comes after it.
      signal.throwIfAborted();
      const commit = commitOf(snapshot.commit, request.ref);
      const { trouble } = this.#activity;
      await takeCommit(this.#options, { ...request, commit, planned, trouble });
      this.#options.onChanged();
    });
  }

  /** Reads a snapshot, and gives the function that plans it against what PM wants at the time of the call. */
  async #planner(
    snapshot: Snapshot,
    ref: GitRef,
    reader: DocumentReader,
    signal: AbortSignal,
  ): Promise<() => Promise<Planned>> {
    const { planner, name } = this.#options;
    const { documents, unread } = await reader.read(snapshot, signal);
    return async () => {
      const planned = await planner.plan({
        owner: { type: 'git', source: name },
        source: name,
        commit: commitOf(snapshot.commit, ref),
        documents,
        unread,
        prune: this.#state.input.prune,
      });
      const framed = await withFrames(planned.plan.documents, snapshot);
      return { ...planned, plan: { ...planned.plan, documents: framed } };
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
