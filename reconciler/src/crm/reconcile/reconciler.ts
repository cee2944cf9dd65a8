import { type OaasError, toOaasError } from '@oaas/commons/errors';
import type { Outcome } from '@oaas/commons/queue';
import type { Logger } from '@oaas/commons/telemetry';
import { withCorrelation } from '@oaas/commons/telemetry';
import type { Clock } from '@oaas/commons/time';
import type { EventRecorder } from '../../controller/index.ts';
import { annotations, type DeploymentRecord, fieldManagers, finalizer } from '../../record/index.ts';
import type { DeploysFirst } from '../deploys-first.ts';
import { lean } from '../cluster/caches.ts';
import { platformKinds } from '../objects.ts';
import { type Facts, noFacts } from './facts.ts';
import { mergeFacts, type Step, type StepDependencies } from './step.ts';
import { applySteps } from './steps-apply.ts';
import { deleteSteps } from './steps-delete.ts';
import { observeSteps } from './steps-observe.ts';
import { type Summary, summarise } from './summarise.ts';
import { childEvents, type EventWish } from './transitions.ts';

export interface ReconcilerOptions extends StepDependencies {
  readonly events: EventRecorder;
  readonly first: DeploysFirst;
  /** Whether other records wait for their turn. */
  readonly isBusy: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of each reconciling: how long it took in seconds, and whether it went through. */
  readonly onDone?: ((seconds: number, result: 'ok' | 'error') => void) | undefined;
}

/** When the pass after one that wrote children comes at the latest; their own changes bring it sooner. */
const tellAfterMs = 100;

/** Makes the function that brings one record, named by `namespace/name`, to where it should be. */
export function createReconciler(options: ReconcilerOptions): (key: string, signal: AbortSignal) => Promise<Outcome> {
  return async (key, signal) => {
    await options.first.turn(signal);
    const record = options.caches.records.get(key);
    if (record === undefined) {
      options.grids.forget(key.slice(key.indexOf('/') + 1));
      return { done: true };
    }
    const correlationId = record.metadata.annotations?.[annotations.correlationId];
    const run = () => reconcile(options, key, record, signal);
    return correlationId === undefined ? run() : withCorrelation(correlationId, run);
  };
}

async function reconcile(
  options: ReconcilerOptions,
  key: string,
  record: DeploymentRecord,
  signal: AbortSignal,
): Promise<Outcome> {
  const startedAt = options.clock.monotonic();
  const { facts, error } = await runSteps(options, key, record, signal);
  // Steps may have written to the record itself; the status belongs to what is there now.
  const current = options.caches.records.get(key) ?? record;
  const summary = summarise(current, facts, error, options.clock.now());
  const isGone =
    record.metadata.deletionTimestamp !== undefined && facts.remaining?.length === 0 && error === undefined;
  if (error === undefined && hasWritten(facts) && options.isBusy()) {
    emit(options, current, childEvents(facts.applied));
    options.onDone?.((options.clock.monotonic() - startedAt) / 1000, 'ok');
    return { requeueAfterMs: tellAfterMs };
  }
  if (summary.isChanged && !isGone) await writeStatus(options, current, summary, signal);
  emit(options, current, summary.events);
  options.onDone?.((options.clock.monotonic() - startedAt) / 1000, error === undefined ? 'ok' : 'error');
  if (error === undefined) return next(summary);
  // Nobody need try again what only a new spec can mend; it is looked at now and then all the same.
  if (error.consequence === 'stop') return next(summary);
  throw error;
}

/**
 * A pass that has written children leaves the status to the next one while other records wait for their children: a status costs the
 * server as much as two children, and would be out of date as soon as the first pod is there. The next pass writes no child, so
 * the status waits for one round of the queue and no longer.
 */
function hasWritten({ applied }: Facts): boolean {
  return applied.some(({ action }) => action === 'created' || action === 'updated');
}

function next(summary: Summary): Outcome {
  return summary.requeueAfterMs === undefined ? { done: true } : { requeueAfterMs: summary.requeueAfterMs };
}

async function runSteps(
  options: ReconcilerOptions,
  key: string,
  record: DeploymentRecord,
  signal: AbortSignal,
): Promise<{ readonly facts: Facts; readonly error: OaasError | undefined }> {
  let facts = noFacts;
  let error: OaasError | undefined;
  for (const step of stepsFor(record)) {
    if (error !== undefined && step.observes !== true) continue;
    const current = options.caches.records.get(key) ?? record;
    try {
      facts = mergeFacts(facts, await step.run({ ...options, record: current, facts, signal }));
    } catch (thrown) {
      error ??= toOaasError(thrown);
      options.logger.debug({ record: key, step: step.name, err: thrown }, 'a step did not go through');
    }
  }
  return { facts, error };
}

function stepsFor(record: DeploymentRecord): readonly Step[] {
  if (record.metadata.deletionTimestamp !== undefined) {
    return record.metadata.finalizers?.includes(finalizer) === true ? deleteSteps : [];
  }
  return record.spec.suspend === true ? observeSteps : [...applySteps, ...observeSteps];
}

async function writeStatus(
  { api, caches }: ReconcilerOptions,
  record: DeploymentRecord,
  summary: Summary,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace, uid } = record.metadata;
  const answer = await api.apply(
    platformKinds.record,
    {
      apiVersion: record.apiVersion,
      kind: record.kind,
      metadata: {
        name,
        ...(namespace === undefined ? {} : { namespace }),
        // A record that was made anew meanwhile must not get the status of the old one.
        ...(uid === undefined ? {} : { uid }),
      },
      status: summary.status,
    },
    { fieldManager: fieldManagers.status, force: true, subresource: 'status', signal },
  );
  caches.records.put(lean(answer) as unknown as DeploymentRecord);
}

function emit({ events }: ReconcilerOptions, record: DeploymentRecord, wishes: readonly EventWish[]): void {
  const { name, namespace = '', uid = '' } = record.metadata;
  const commit = record.spec.source?.commit;
  const regarding = { apiVersion: record.apiVersion, kind: record.kind, name, namespace, uid };
  for (const event of wishes) {
    events.record({
      ...event,
      regarding,
      ...(commit === undefined ? {} : { annotations: { [annotations.gitCommit]: commit } }),
    });
  }
}
