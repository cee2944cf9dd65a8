import { toRfc3339, type Clock, type Random } from '@oaas/commons/time';
import {
  ApplyConflict,
  applyConfiguration,
  conflictCauses,
  sameObject,
  trackUpdate,
  type Actor,
} from '../apply/managed.ts';
import { generateName, metadataErrors } from '../names.ts';
import { applyJsonPatch, PatchError } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { applyStrategicPatch } from '../patch/strategic.ts';
import type { Registry } from '../registry.ts';
import { apiVersionOf, keyOf, type KindContext, type ResourceType } from '../resource.ts';
import { applyDefaults, dropForbiddenNulls } from '../schema/defaults.ts';
import { fillStructs } from '../schema/structs.ts';
import { validateSchema } from '../schema/validate.ts';
import { ApiError, errors, fieldErrors, success, type FieldError } from '../status.ts';
import type { Decision, Entry, Store } from '../store/store.ts';
import { deepCopy, deepEqual, isJson, listAt, type Json, type KubeObject, type ManagedFieldsEntry } from '../types.ts';
import { fromStorage, served, toStorage } from './convert.ts';
import { decode } from './decode.ts';
import type { Answer, DeleteOptions, PatchRequest, WriteOptions } from './options.ts';

export interface WriterOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly context: KindContext;
}

/** Names one object of a resource. The namespace is empty for cluster-scoped kinds. */
export interface Target {
  readonly resource: ResourceType;
  readonly namespace: string;
  readonly name: string;
}

const NAMESPACES = { group: '', plural: 'namespaces', kind: 'Namespace' } as const;
const PROTECTED_NAMESPACES = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);
const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';
/** How often a generated name is tried anew when it is taken. */
const MAX_NAME_ATTEMPTS = 8;

/** What a change makes of the live object. */
interface Next {
  readonly object: KubeObject;
  /** Set by server-side apply, which computes ownership before defaults are filled in. */
  readonly managedFields?: ManagedFieldsEntry[];
  readonly warnings: readonly string[];
}

/** Create, update, patch, apply and delete, with the semantics of the API server's registry. */
export class Writer {
  readonly #options: WriterOptions;
  readonly #store: Store;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  async create(resource: ResourceType, namespace: string, body: unknown, options: WriteOptions): Promise<Answer> {
    const { object, warnings } = decode(resource, body, options);
    if (object.metadata.resourceVersion !== undefined && object.metadata.resourceVersion !== '') {
      throw errors.badRequest('resourceVersion should not be set on objects to be created');
    }
    this.#placeIn(resource, namespace, object);
    const prefix =
      object.metadata.name === undefined || object.metadata.name === '' ? object.metadata.generateName : undefined;
    for (let attempt = 1; ; attempt += 1) {
      const candidate = prefix === undefined ? object : deepCopy(object);
      if (prefix !== undefined && prefix !== '')
        candidate.metadata.name = generateName(prefix, () => this.#options.random.next());
      const name = candidate.metadata.name ?? '';
      try {
        return await this.#change({ resource, namespace, name }, options, 201, (live) => {
          if (live !== undefined) throw errors.alreadyExists(resource, name);
          return { object: candidate, warnings };
        });
      } catch (error) {
        const isTaken = error instanceof ApiError && error.reason === 'AlreadyExists' && prefix !== undefined;
        if (!isTaken || attempt >= MAX_NAME_ATTEMPTS) throw error;
      }
    }
  }

  update(target: Target, body: unknown, options: WriteOptions): Promise<Answer> {
    const { resource, namespace, name } = target;
    const { object, warnings } = decode(resource, body, options);
    if ((object.metadata.name ?? '') !== name) {
      throw errors.badRequest(
        `the name of the object (${object.metadata.name ?? ''}) does not match the name on the URL (${name})`,
      );
    }
    this.#placeIn(resource, namespace, object);
    return this.#change(target, options, 200, (live) => {
      if (live === undefined && resource.rules.createOnUpdate !== true) throw errors.notFound(resource, name);
      if (!resource.isNative && (object.metadata.resourceVersion ?? '') === '') {
        throw errors.invalid(resource, name, [
          fieldErrors.invalid('metadata.resourceVersion', 0, 'must be specified for an update'),
        ]);
      }
      return { object, warnings };
    });
  }

  patch(target: Target, request: PatchRequest, options: WriteOptions): Promise<Answer> {
    const { resource, namespace, name } = target;
    if (request.type === 'apply') return this.#apply(target, request, options);
    if (request.type === 'strategic' && !resource.isNative) {
      throw errors.unsupportedMediaType([
        'application/json-patch+json',
        'application/merge-patch+json',
        'application/apply-patch+yaml',
      ]);
    }
    return this.#change(target, options, 200, (live) => {
      if (live === undefined) throw errors.notFound(resource, name);
      const patched = patchDocument(live, request, resource);
      if (!isJson(patched)) throw errors.badRequest('the patched document is not an object');
      const { object, warnings } = decode(resource, patched, options);
      if (object.metadata.name !== name) {
        throw errors.badRequest(
          `the name of the object (${object.metadata.name ?? ''}) does not match the name on the URL (${name})`,
        );
      }
      this.#placeIn(resource, namespace, object);
      return { object, warnings };
    });
  }

  #apply(target: Target, request: PatchRequest, options: WriteOptions): Promise<Answer> {
    const { resource, namespace, name } = target;
    if ((options.fieldManager ?? '') === '') {
      throw new ApiError(
        422,
        'Invalid',
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        {
          group: 'meta.k8s.io',
          kind: 'PatchOptions',
          causes: [
            {
              reason: 'FieldValueRequired',
              message: 'Required value: is required for apply patch',
              field: 'fieldManager',
            },
          ],
        },
      );
    }
    const config = this.#decodeConfiguration(target, request.patch, options);
    return this.#change(target, options, 200, (live) => {
      if (live === undefined && options.subresource !== undefined) throw errors.notFound(resource, name);
      const actor = this.#actor(resource, options);
      const wantedUid = config.object.metadata.uid;
      if (wantedUid !== undefined && live === undefined) {
        throw errors.conflict(
          resource,
          name,
          `uid mismatch: the provided object specified uid ${wantedUid}, and no existing object was found`,
        );
      }
      if (wantedUid !== undefined && wantedUid !== live?.metadata.uid) {
        throw errors.invalid(resource, name, [fieldErrors.invalid('metadata.uid', wantedUid, 'field is immutable')]);
      }
      try {
        const applied = applyConfiguration(
          live,
          config.object,
          resource.node,
          resource.isNative,
          actor,
          request.force === true,
        );
        const object = {
          ...applied.object,
          apiVersion: apiVersionOf(resource),
          kind: resource.kind,
        } as unknown as KubeObject;
        object.metadata = { ...object.metadata, name, ...(resource.namespaced ? { namespace } : {}) };
        const wantedRevision = config.object.metadata.resourceVersion;
        if (wantedRevision === undefined) delete object.metadata.resourceVersion;
        return { object, managedFields: applied.managedFields, warnings: config.warnings };
      } catch (error) {
        if (!(error instanceof ApplyConflict)) throw error;
        const { message, causes } = conflictCauses(error.conflicts);
        throw new ApiError(409, 'Conflict', message, { causes });
      }
    });
  }

  #decodeConfiguration(
    target: Target,
    body: unknown,
    options: WriteOptions,
  ): { object: KubeObject; warnings: readonly string[] } {
    const { resource, namespace, name } = target;
    if (!isJson(body)) throw errors.badRequest('the configuration is not an object');
    if (listAt(body, 'metadata', 'managedFields').length > 0)
      throw errors.badRequest('metadata.managedFields must be nil');
    if (body['apiVersion'] === undefined || body['kind'] === undefined) {
      throw errors.badRequest('the configuration must name its apiVersion and kind');
    }
    const decoded = decode(resource, body, { ...options, fieldValidation: 'Ignore' });
    const [unknown] = decoded.unknown;
    if (unknown !== undefined) {
      const where = `${namespace === '' ? '' : namespace}/${name}; ${apiVersionOf(resource)}, Kind=${resource.kind}`;
      throw new ApiError(
        500,
        '',
        `failed to create typed patch object (${where}): .${unknown}: field not declared in schema`,
      );
    }
    const { object } = decoded;
    if (object.metadata.name !== undefined && object.metadata.name !== name) {
      throw errors.badRequest(
        `the name of the object (${object.metadata.name}) does not match the name on the URL (${name})`,
      );
    }
    this.#placeIn(resource, namespace, object);
    if (resource.subresources.has('status')) {
      if (options.subresource === 'status') {
        const { name: sameName, uid, resourceVersion } = object.metadata;
        return {
          warnings: decoded.warnings,
          object: {
            apiVersion: object.apiVersion,
            kind: object.kind,
            metadata: {
              ...(sameName === undefined ? {} : { name: sameName }),
              ...(uid === undefined ? {} : { uid }),
              ...(resourceVersion === undefined ? {} : { resourceVersion }),
            },
            ...(object.status === undefined ? {} : { status: object.status }),
          },
        };
      }
      delete object.status;
    }
    return decoded;
  }

  async delete(target: Target, options: DeleteOptions): Promise<Answer> {
    const { resource, name } = target;
    const outcome = await this.#store.update(
      keyOf(resource, target.namespace, name),
      (entry): Decision<{ object: KubeObject; isGone: boolean }> => {
        if (entry === undefined) throw errors.notFound(resource, name);
        const live = fromStorage(resource, entry.bytes);
        checkPreconditions(resource, name, live, options);
        if (resource.storage === '/namespaces/' && PROTECTED_NAMESPACES.has(name)) {
          throw errors.forbidden(resource, name, 'this namespace may not be deleted');
        }
        const next = this.#markDeleted(resource, live, options);
        if (options.dryRun === true)
          return { action: 'keep', result: { object: next ?? live, isGone: next === undefined } };
        if (next === undefined) return { action: 'remove', result: { object: live, isGone: true } };
        if (deepEqual(next, live)) return { action: 'keep', result: { object: live, isGone: false } };
        return { action: 'put', object: toStorage(resource, next), result: { object: next, isGone: false } };
      },
    );
    const { object, isGone } = outcome.result;
    if (isGone && resource.rules.answersDeleted !== true) {
      const details = {
        name,
        ...(resource.group === '' ? {} : { group: resource.group }),
        kind: resource.plural,
        uid: object.metadata.uid,
      };
      return { code: 200, bytes: encode(success(details)), warnings: [] };
    }
    if (outcome.entry !== undefined && !isGone)
      return { code: 200, bytes: served(resource, outcome.entry.bytes), warnings: [] };
    return { code: 200, bytes: encode(object), warnings: [] };
  }

  /** Takes the gate `spec.finalizers` away from an empty namespace that is being deleted, which lets it go. */
  async finalizeNamespace(target: Target): Promise<void> {
    await this.#store.update(keyOf(target.resource, '', target.name), (entry): Decision<undefined> => {
      if (entry === undefined) return { action: 'keep', result: undefined };
      const live = fromStorage(target.resource, entry.bytes);
      if (live.metadata.deletionTimestamp === undefined) return { action: 'keep', result: undefined };
      if ((live.metadata.finalizers ?? []).length === 0) return { action: 'remove', result: undefined };
      return { action: 'put', object: { ...live, spec: {} }, result: undefined };
    });
  }

  /** The object as it stands while it is being deleted, or undefined when nothing holds it. */
  #markDeleted(resource: ResourceType, live: KubeObject, options: DeleteOptions): KubeObject | undefined {
    const grace = resource.rules.gracePeriod?.(live, options.gracePeriodSeconds) ?? 0;
    const finalizers = finalizersFor(live.metadata.finalizers ?? [], options.propagationPolicy);
    const held = finalizers.length > 0 || listAt(live, 'spec', 'finalizers').length > 0;
    const left = live.metadata.deletionGracePeriodSeconds;
    const shortened =
      live.metadata.deletionTimestamp !== undefined && left !== undefined ? Math.min(left, grace) : grace;
    if (!held && shortened === 0) return undefined;
    const next = deepCopy(live);
    if (finalizers.length > 0) next.metadata.finalizers = finalizers;
    else delete next.metadata.finalizers;
    if (live.metadata.deletionTimestamp === undefined || shortened !== left) {
      if (live.metadata.deletionTimestamp === undefined || left !== undefined) {
        next.metadata.deletionTimestamp = seconds(this.#options.clock.now() + shortened * 1_000);
        next.metadata.deletionGracePeriodSeconds = shortened;
      }
      if (live.metadata.deletionTimestamp === undefined && next.metadata.generation !== undefined)
        next.metadata.generation += 1;
    }
    if (resource.storage === '/namespaces/')
      next.status = { ...(isJson(next.status) ? next.status : {}), phase: 'Terminating' };
    return next;
  }

  #actor(resource: ResourceType, options: WriteOptions): Actor {
    return {
      manager: options.fieldManager ?? 'unknown',
      ...(options.subresource === undefined ? {} : { subresource: options.subresource }),
      apiVersion: apiVersionOf(resource),
      now: seconds(this.#options.clock.now()),
    };
  }

  #placeIn(resource: ResourceType, namespace: string, object: KubeObject): void {
    if (!resource.namespaced) {
      delete object.metadata.namespace;
      return;
    }
    const wanted = object.metadata.namespace ?? '';
    if (wanted !== '' && wanted !== namespace) {
      throw errors.badRequest('the namespace of the provided object does not match the namespace sent on the request');
    }
    object.metadata.namespace = namespace;
  }

  /** Reads, changes and stores one object while nobody else changes it. */
  async #change(
    target: Target,
    options: WriteOptions,
    code: number,
    make: (live: KubeObject | undefined) => Next,
  ): Promise<Answer> {
    const { resource } = target;
    type Result = { object: KubeObject | undefined; code: number; warnings: readonly string[]; bytes?: Buffer };
    const decide = (entry: Entry | undefined): Decision<Result> => {
      const live = entry === undefined ? undefined : fromStorage(resource, entry.bytes);
      const next = make(live);
      if (live === undefined) {
        const created = this.#prepareCreate(target, next, options);
        const result = { object: created, code: 201, warnings: next.warnings };
        return options.dryRun === true
          ? { action: 'keep', result }
          : { action: 'put', object: toStorage(resource, created), result };
      }
      const updated = this.#prepareUpdate(target, live, next, options);
      const result = { object: updated, code, warnings: next.warnings };
      if (entry !== undefined && sameObject(live, updated)) {
        return { action: 'keep', result: { ...result, bytes: served(resource, entry.bytes) } };
      }
      if (options.dryRun === true) return { action: 'keep', result };
      if (isReleased(updated)) return { action: 'remove', result };
      return { action: 'put', object: toStorage(resource, updated), result };
    };
    const outcome = await this.#store.update(keyOf(resource, target.namespace, target.name), decide);
    const { result } = outcome;
    const bytes =
      result.bytes ?? (outcome.entry === undefined ? encode(result.object) : served(resource, outcome.entry.bytes));
    return { code: result.code, bytes, warnings: result.warnings };
  }

  #prepareCreate(target: Target, next: Next, options: WriteOptions): KubeObject {
    const { resource } = target;
    if (resource.namespaced) this.#checkNamespace(target);
    const { object } = next;
    const { metadata } = object;
    metadata.uid = this.#options.context.uid();
    metadata.creationTimestamp = seconds(this.#options.clock.now());
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
    delete metadata.resourceVersion;
    const isCounted = resource.rules.generation === true || !resource.isNative;
    if (isCounted) metadata.generation = 1;
    else delete metadata.generation;
    if (resource.subresources.has('status')) delete object.status;
    this.#fillIn(resource, object);
    // What the server itself decides belongs to nobody, so ownership is computed before.
    const actor = this.#actor(resource, options);
    const managed = next.managedFields ?? trackUpdate(undefined, object, resource.node, resource.isNative, actor);
    resource.rules.prepareCreate?.(object, this.#options.context);
    this.#validate(resource, object, undefined);
    return withManagedFields(object, managed);
  }

  #prepareUpdate(target: Target, live: KubeObject, next: Next, options: WriteOptions): KubeObject {
    const { resource, name } = target;
    const sent = next.object.metadata;
    const isApply = next.managedFields !== undefined;
    if (sent.uid !== undefined && sent.uid !== '' && sent.uid !== live.metadata.uid) {
      throw errors.conflict(
        resource,
        name,
        `Precondition failed: UID in precondition: ${sent.uid}, UID in object meta: ${live.metadata.uid ?? ''}`,
      );
    }
    if (
      sent.resourceVersion !== undefined &&
      sent.resourceVersion !== '' &&
      sent.resourceVersion !== live.metadata.resourceVersion
    ) {
      throw errors.modified(resource, name);
    }
    const object = this.#isolate(resource, live, next.object, options.subresource);
    const { metadata } = object;
    const kept = live.metadata;
    const owned: Json = {};
    for (const field of [
      'uid',
      'creationTimestamp',
      'deletionTimestamp',
      'deletionGracePeriodSeconds',
      'generation',
      'resourceVersion',
    ] as const) {
      Reflect.deleteProperty(metadata, field);
      if (kept[field] !== undefined) owned[field] = kept[field];
    }
    Object.assign(metadata, owned);
    if (!isApply && options.subresource === undefined) checkFinalizers(resource, name, live, object);
    this.#fillIn(resource, object);
    const actor = this.#actor(resource, options);
    const managed = next.managedFields ?? trackUpdate(live, object, resource.node, resource.isNative, actor);
    resource.rules.prepareUpdate?.(object, live, this.#options.context);
    this.#validate(resource, object, live);
    if (options.subresource !== 'status' && specChanged(resource, live, object)) {
      metadata.generation = (kept.generation ?? 0) + 1;
    }
    return withManagedFields(object, managed);
  }

  /** Which parts of the object the endpoint may change. */
  #isolate(resource: ResourceType, live: KubeObject, next: KubeObject, subresource: string | undefined): KubeObject {
    if (!resource.subresources.has('status')) return next;
    const { status: nextStatus, ...rest } = next;
    if (subresource === 'status') {
      const metadata = resource.isNative ? { ...next.metadata } : { ...live.metadata };
      if (resource.isNative) {
        for (const field of ['finalizers', 'ownerReferences', 'generateName'] as const) {
          Reflect.deleteProperty(metadata, field);
          if (live.metadata[field] !== undefined) Object.assign(metadata, { [field]: live.metadata[field] });
        }
      }
      if (next.metadata.managedFields === undefined) delete metadata.managedFields;
      else metadata.managedFields = next.metadata.managedFields;
      return { ...live, metadata, ...(nextStatus === undefined ? { status: undefined } : { status: nextStatus }) };
    }
    const object = { ...rest, metadata: { ...next.metadata } } as KubeObject;
    if (live.status !== undefined) object.status = live.status;
    return object;
  }

  #fillIn(resource: ResourceType, object: KubeObject): void {
    if (object.status === undefined) delete object.status;
    if (resource.isNative) fillStructs(object, resource.node);
    applyDefaults(object, resource.node);
    if (!resource.isNative) dropForbiddenNulls(object, resource.node);
    resource.rules.defaults?.(object);
  }

  #validate(resource: ResourceType, object: KubeObject, live: KubeObject | undefined): void {
    const found: FieldError[] = metadataErrors(object.metadata, resource.rules.names ?? 'subdomain');
    // Metadata has been looked at, but some schemas require that it is there.
    const body = { ...object, metadata: {} };
    found.push(...validateSchema(body, resource.node, resource.isNative ? 'allowed' : 'checked'));
    if (found.length === 0 || resource.isNative) found.push(...(resource.rules.validate?.(object, live) ?? []));
    if (found.length > 0) throw errors.invalid(resource, object.metadata.name ?? '', found);
  }

  #checkNamespace(target: Target): void {
    const entry = this.#store.get(`/namespaces//${target.namespace}`);
    if (entry === undefined) throw errors.notFound(NAMESPACES, target.namespace);
    if (!entry.isDeleting) return;
    throw errors.forbidden(
      target.resource,
      target.name,
      `unable to create new content in namespace ${target.namespace} because it is being terminated`,
      [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${target.namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    );
  }
}

function patchDocument(live: KubeObject, request: PatchRequest, resource: ResourceType): unknown {
  try {
    switch (request.type) {
      case 'json':
        return applyJsonPatch(live, request.patch);
      case 'merge':
        return applyMergePatch(live, request.patch);
      case 'strategic':
        return applyStrategicPatch(live, request.patch, resource.node);
      case 'apply':
        throw new Error('apply is no patch of the document');
    }
  } catch (error) {
    if (error instanceof PatchError)
      throw new ApiError(
        422,
        'Invalid',
        `the server rejected our request due to an error in our request: ${error.message}`,
        {},
      );
    throw error;
  }
}

function checkPreconditions(resource: ResourceType, name: string, live: KubeObject, options: DeleteOptions): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  if (uid !== undefined && uid !== live.metadata.uid) {
    throw errors.conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${live.metadata.uid ?? ''}`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== live.metadata.resourceVersion) {
    throw errors.conflict(
      resource,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${live.metadata.resourceVersion ?? ''}`,
    );
  }
}

function finalizersFor(current: readonly string[], policy: DeleteOptions['propagationPolicy']): string[] {
  switch (policy) {
    case 'Orphan':
      return [...current.filter((item) => item !== FOREGROUND && item !== ORPHAN), ORPHAN];
    case 'Foreground':
      return [...current.filter((item) => item !== FOREGROUND && item !== ORPHAN), FOREGROUND];
    case 'Background':
      return current.filter((item) => item !== FOREGROUND && item !== ORPHAN);
    case undefined:
      return [...current];
  }
}

function checkFinalizers(resource: ResourceType, name: string, live: KubeObject, next: KubeObject): void {
  if (live.metadata.deletionTimestamp === undefined) return;
  const before = new Set(live.metadata.finalizers);
  const added = (next.metadata.finalizers ?? []).filter((item) => !before.has(item));
  if (added.length === 0) return;
  throw errors.invalid(resource, name, [
    fieldErrors.forbidden(
      'metadata.finalizers',
      `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
    ),
  ]);
}

/** Whether an object that is being deleted is no longer held by anything. */
function isReleased(object: KubeObject): boolean {
  const { metadata } = object;
  if (metadata.deletionTimestamp === undefined || (metadata.finalizers ?? []).length > 0) return false;
  if (listAt(object, 'spec', 'finalizers').length > 0) return false;
  return (metadata.deletionGracePeriodSeconds ?? 0) === 0;
}

/** For built-in kinds the spec counts; for custom resources everything but metadata and, where it is a subresource, the status. */
function specChanged(resource: ResourceType, live: KubeObject, next: KubeObject): boolean {
  if (resource.isNative) return resource.rules.generation === true && !deepEqual(live.spec, next.spec);
  const strip = (object: KubeObject): Json => {
    const rest: Json = { ...object, metadata: {} };
    if (resource.subresources.has('status')) delete rest['status'];
    return rest;
  };
  return !deepEqual(strip(live), strip(next));
}

function withManagedFields(object: KubeObject, managed: ManagedFieldsEntry[]): KubeObject {
  delete object.metadata.managedFields;
  if (managed.length > 0) object.metadata.managedFields = managed;
  return object;
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** RFC 3339 without fractions, as metadata's times are. */
export function seconds(ms: number): string {
  return toRfc3339(ms).replace(/\.\d+Z$/, 'Z');
}
