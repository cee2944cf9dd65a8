import { printSelector } from '../kinds/printers.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import type { ResourceType } from '../resource.ts';
import { errors, fieldErrors } from '../status.ts';
import { deepCopy, isJson, numberAt, textAt, valueAt, type Json, type KubeObject } from '../types.ts';
import type { PatchType } from './options.ts';

/** The autoscaling/v1 Scale of an object. */
export function scaleObject(resource: ResourceType, object: KubeObject): Json {
  const paths = resource.scale;
  if (paths === undefined) throw errors.noSuchPath();
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.labelSelectorPath === undefined ? undefined : valueAt(object, ...paths.labelSelectorPath);
  const selectorText = isJson(selector) ? printSelector(selector) : typeof selector === 'string' ? selector : undefined;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: numberAt(object, ...paths.specReplicasPath) ?? 0 },
    status: {
      replicas: numberAt(object, ...paths.statusReplicasPath) ?? 0,
      ...(selectorText === undefined ? {} : { selector: selectorText }),
    },
  };
}

/** The Scale that a request asks for: the body itself, or the present one with a patch applied. */
export function readScale(resource: ResourceType, live: KubeObject, body: unknown, patch: PatchType | undefined): Json {
  const current = scaleObject(resource, live);
  const next =
    patch === undefined ? body : patch === 'json' ? applyJsonPatch(current, body) : applyMergePatch(current, body);
  if (!isJson(next)) throw errors.badRequest('the scale is not an object');
  return next;
}

/** The object with the replicas of a Scale, and its resourceVersion where it names one. */
export function scaledObject(resource: ResourceType, live: KubeObject, scale: Json): KubeObject {
  const name = live.metadata.name ?? '';
  const replicas = numberAt(scale, 'spec', 'replicas') ?? 0;
  if (replicas < 0) {
    throw errors.invalid({ ...resource, kind: 'Scale' }, name, [
      fieldErrors.invalid('spec.replicas', replicas, 'must be greater than or equal to 0'),
    ]);
  }
  const wanted = textAt(scale, 'metadata', 'resourceVersion');
  if (wanted !== undefined && wanted !== '' && wanted !== live.metadata.resourceVersion)
    throw errors.modified(resource, name);
  const next = deepCopy(live);
  let holder: Json = next;
  const path = resource.scale?.specReplicasPath ?? [];
  for (const key of path.slice(0, -1)) {
    if (!isJson(holder[key])) holder[key] = {};
    holder = holder[key] as Json;
  }
  holder[path.at(-1) ?? ''] = replicas;
  return next;
}
