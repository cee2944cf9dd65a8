import { expect, it } from 'vitest';
import { appliedEntries, createdEntries, type ManagedFieldsEntry } from './ownership.ts';

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
