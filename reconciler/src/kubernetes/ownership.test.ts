import { oaasError } from '@oaas/commons/errors';
import { expect, it } from 'vitest';
import type { KubernetesApi } from './api.ts';
import { appliedEntries, createdEntries, type ManagedFieldsEntry, ownByApply } from './ownership.ts';
import { kinds, type KubeObject } from './types.ts';

const time = '2026-01-01T00:00:00Z';
const created: ManagedFieldsEntry = {
  manager: 'us',
  operation: 'Update',
  time,
  fieldsV1: { 'f:spec': { 'f:replicas': {}, 'f:paused': {} } },
};
const applied: ManagedFieldsEntry = {
  manager: 'us',
  operation: 'Apply',
  time,
  fieldsV1: { 'f:spec': { 'f:replicas': {} } },
};
const status: ManagedFieldsEntry = { ...created, subresource: 'status' };
const theirs: ManagedFieldsEntry = { ...created, manager: 'them' };

it('everything that a manager owns becomes one entry of an apply, and what others own stays as it is', () => {
  expect(appliedEntries([theirs, applied, created, status], 'us')).toEqual([
    theirs,
    status,
    { ...applied, fieldsV1: { 'f:spec': { 'f:replicas': {}, 'f:paused': {} } } },
  ]);
});

it('entries without one of the manager stay as they are', () => {
  expect(appliedEntries([theirs, status], 'us')).toEqual([theirs, status]);
});

it('only what a manager wrote into the object itself without applying counts as created', () => {
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a', managedFields: [theirs, applied, status] },
  };
  expect(createdEntries(object, 'us')).toEqual([]);
  expect(createdEntries({ ...object, metadata: { name: 'a', managedFields: [created] } }, 'us')).toEqual([created]);
});

it('an object that changes between reading and writing is read again', async () => {
  const patched: unknown[] = [];
  let version = 1;
  const api: Pick<KubernetesApi, 'get' | 'patch'> = {
    get: () =>
      Promise.resolve<KubeObject>({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'a', resourceVersion: String(version), managedFields: [created] },
      }),
    patch: (_type, _key, _kind, patch) => {
      patched.push((patch as { value: unknown }[])[1]?.value);
      version += 1;
      return patched.length < 3 ? Promise.reject(oaasError('Conflict', 'changed')) : Promise.resolve({} as KubeObject);
    },
  };
  await ownByApply(api, kinds.service, { name: 'a' }, 'us', new AbortController().signal);
  expect(patched).toEqual(['1', '2', '3']);
});
