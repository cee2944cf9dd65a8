import { isOaasError, oaasError } from '@oaas/commons/errors';
import { currentCorrelationId } from '@oaas/commons/telemetry';
import type { unit as wire } from '@oaas/proto';
import {
  apiVersionOf,
  createdEntries,
  type KubernetesApi,
  type KubeObject,
  ownByApply,
} from '../../kubernetes/index.ts';
import {
  annotations,
  type DeploymentRecord,
  fieldManagers,
  finalizer,
  labels,
  labelValue,
  type RecordSpec,
} from '../../record/index.ts';
import { type Caches, lean } from '../cluster/caches.ts';
import type { DeploysFirst } from '../deploys-first.ts';
import { platformKinds } from '../objects.ts';
import { specOfUnit } from './validate.ts';
import { isChangedByHand, specDigest } from './view.ts';

export type DeployOutcome = 'created' | 'updated' | 'unchanged';

/** How soon a caller may try again while an old record of the name is going. */
const deletingRetryMs = 2000;

/** Writes DeploymentRecords for PM. Safe to repeat: the same unit again is `unchanged` and writes nothing. */
export class Deployer {
  readonly #api: KubernetesApi;
  readonly #caches: Caches;
  readonly #namespace: string;
  readonly #first: DeploysFirst;

  constructor(options: { api: KubernetesApi; caches: Caches; namespace: string; first: DeploysFirst }) {
    this.#first = options.first;
    this.#api = options.api;
    this.#caches = options.caches;
    this.#namespace = options.namespace;
  }

  /** Throws `InvalidArgument` naming fields, `OwnershipConflict` for an id that is another class's. */
  async deploy(unit: wire.DeploymentUnit, dryRun: boolean, signal: AbortSignal): Promise<DeployOutcome> {
    const spec = specOfUnit(unit);
    const current = this.#caches.records.get(`${this.#namespace}/${unit.id}`);
    if (current !== undefined) refuse(current, spec);
    if (current !== undefined && isUnchanged(current, spec)) return 'unchanged';
    const answer = await this.#first.store(() =>
      this.#write(recordOf(unit.id, this.#namespace, spec), current, dryRun, signal),
    );
    const outcome = current === undefined ? 'created' : 'updated';
    if (dryRun) return outcome;
    const record = lean(answer) as unknown as DeploymentRecord;
    this.#caches.records.put(record);
    if (specDigest(record.spec) !== specDigest(spec)) await this.#replaceSpec(record, spec, signal);
    return outcome;
  }

  /** False when there is no such record. */
  async delete(id: string, deleteData: boolean, signal: AbortSignal): Promise<boolean> {
    const key = { name: id, namespace: this.#namespace };
    try {
      if (deleteData) {
        const patch = { metadata: { annotations: { [annotations.dataPolicy]: 'delete' } } };
        await this.#api.patch(platformKinds.record, key, 'merge', patch, {
          fieldManager: fieldManagers.deploy,
          signal,
        });
      }
      await this.#api.delete(platformKinds.record, key, { signal });
      return true;
    } catch (error) {
      if (isOaasError(error, 'NotFound')) return false;
      throw error;
    }
  }

  async #write(
    record: KubeObject,
    current: DeploymentRecord | undefined,
    dryRun: boolean,
    signal: AbortSignal,
  ): Promise<KubeObject> {
    const type = platformKinds.record;
    const writing = { fieldManager: fieldManagers.deploy, dryRun, signal };
    if (current === undefined) {
      try {
        return await this.#api.create(type, record, writing);
      } catch (error) {
        if (!isOaasError(error, 'AlreadyExists')) throw error;
      }
    } else if (!dryRun && createdEntries(current as unknown as KubeObject, fieldManagers.deploy).length > 0) {
      await ownByApply(this.#api, type, record.metadata, fieldManagers.deploy, signal);
    }
    // What was asked for wins over what someone changed by hand: Git is where changes are made.
    return this.#api.apply(type, record, { ...writing, force: true });
  }

  /** Fields that someone added by hand are theirs, and an apply leaves them: the whole spec is put in their place. */
  async #replaceSpec(record: DeploymentRecord, spec: RecordSpec, signal: AbortSignal): Promise<void> {
    const { suspend } = record.spec;
    const value = suspend === undefined ? spec : { ...spec, suspend };
    const answer = await this.#api.patch(
      platformKinds.record,
      { name: record.metadata.name, namespace: this.#namespace },
      'json',
      [{ op: 'replace', path: '/spec', value }],
      { fieldManager: fieldManagers.deploy, signal },
    );
    this.#caches.records.put(lean(answer) as unknown as DeploymentRecord);
  }
}

function recordOf(id: string, namespace: string, spec: RecordSpec): KubeObject {
  const { packageName, classKey } = spec.deploymentUnit;
  const correlationId = currentCorrelationId();
  return {
    apiVersion: apiVersionOf(platformKinds.record),
    kind: platformKinds.record.kind,
    metadata: {
      name: id,
      namespace,
      labels: {
        [labels.managedBy]: 'oaas-pm',
        [labels.partOf]: labelValue(packageName),
        [labels.package]: labelValue(packageName),
        [labels.class]: labelValue(classKey),
      },
      annotations: {
        [annotations.specDigest]: specDigest(spec),
        ...(spec.source?.commit === undefined ? {} : { [annotations.gitCommit]: spec.source.commit }),
        ...(correlationId === undefined ? {} : { [annotations.correlationId]: correlationId }),
      },
      finalizers: [finalizer],
    },
    spec,
  };
}

function refuse(current: DeploymentRecord, spec: RecordSpec): void {
  const { name, deletionTimestamp } = current.metadata;
  if (deletionTimestamp !== undefined) {
    throw oaasError('FailedPrecondition', `deployment ${name} is being deleted`, {
      remedy: 'Deploy it again when it is gone.',
      retryAfterMs: deletingRetryMs,
    });
  }
  const [mine, theirs] = [identity(spec), identity(current.spec)];
  if (mine !== theirs) {
    throw oaasError('OwnershipConflict', `deployment ${name} is ${theirs}, not ${mine}`, {
      remedy: 'Choose another id.',
    });
  }
}

function identity({ deploymentUnit, targetEnvironment }: RecordSpec): string {
  return `${deploymentUnit.packageName}.${deploymentUnit.classKey} in ${targetEnvironment}`;
}

function isUnchanged(current: DeploymentRecord, spec: RecordSpec): boolean {
  if (isChangedByHand(current)) return false;
  const wanted = spec.source?.digest;
  return wanted !== undefined && current.metadata.annotations?.[annotations.specDigest] !== undefined
    ? current.spec.source?.digest === wanted
    : specDigest(current.spec) === specDigest(spec);
}
