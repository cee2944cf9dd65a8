import { apiVersionOf, type ResourceType } from '../resource.ts';
import type { KubeObject } from '../types.ts';

/** The stored object as this version serves it. */
export function fromStorage(resource: ResourceType, bytes: Buffer): KubeObject {
  const object = JSON.parse(bytes.toString('utf8')) as KubeObject;
  if (resource.conversion !== undefined) return resource.conversion.fromStorage(object);
  object.apiVersion = apiVersionOf(resource);
  return object;
}

/** The object as it is stored. */
export function toStorage(resource: ResourceType, object: KubeObject): KubeObject {
  if (resource.conversion !== undefined) return resource.conversion.toStorage(object);
  return apiVersionOf(resource) === resource.storageVersion
    ? object
    : { ...object, apiVersion: resource.storageVersion };
}

/** The encoded object as this version serves it; the stored bytes themselves where they need no change. */
export function served(resource: ResourceType, bytes: Buffer): Buffer {
  if (resource.conversion === undefined && apiVersionOf(resource) === resource.storageVersion) return bytes;
  return Buffer.from(JSON.stringify(fromStorage(resource, bytes)));
}
