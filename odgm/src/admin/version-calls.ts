import { oaasError } from '@oaas/commons/errors';
import type { CallOptions, RequestOf, ResponseOf } from '@oaas/commons/grpc';
import { toRfc3339 } from '@oaas/commons/time';
import type { admin } from '@oaas/proto';
import type { GridNode } from '../node/index.ts';
import { EventualShard, type ShardVersions, type Value } from '../shard/index.ts';

type Service = (typeof admin.GridAdminDefinition)['methods'];
export type VersionMethod =
  | 'listVersions'
  | 'recordVersion'
  | 'labelVersion'
  | 'diffVersions'
  | 'getObjectAt'
  | 'createBranch'
  | 'deleteBranch'
  | 'writeBranch'
  | 'mergeBranch';

/** What can be asked of the versions of a shard: of this node's replica, or through a client of that of another member. */
export type VersionCalls = {
  readonly [M in VersionMethod]: (
    request: RequestOf<Service[M]>,
    options?: CallOptions,
  ) => Promise<ResponseOf<Service[M]>>;
};

const policies = ['list', 'ours', 'theirs', 'latest'] as const;
const nameForm = /^[a-z0-9._:-]{1,160}$/;

/* eslint-disable @typescript-eslint/require-await -- what is refused rejects */

/** Asked of this node's own replica. Reject with `NoLeader` where it has none, else as {@link ShardVersions}. */
export function localVersions(node: GridNode): VersionCalls {
  const { id: self } = node.self;
  const versionsOf = (of: admin.VersionsRequest | undefined): ShardVersions => {
    const { collection: name, partition } = of ?? { collection: '', partition: 0 };
    const shard = node
      .collections()
      .find(({ spec }) => spec.name === name)
      ?.handle(partition);
    if (shard instanceof EventualShard) return shard.versions;
    throw oaasError('NoLeader', `${self} has no replica of partition ${String(partition)}`, { retryAfterMs: 100 });
  };
  const versionOf = ({ sequence, root, atMs, label = '' }: ShardVersions['versions'][number]): admin.Version => ({
    ...{ sequence, root, label, at: toRfc3339(atMs), node: self },
  });
  return {
    listVersions: async (of) => {
      const { versions, branches } = versionsOf(of);
      return {
        node: self,
        versions: versions.map(versionOf),
        branches: branches.map((branch) => ({ ...branch, node: self })),
      };
    },
    recordVersion: async ({ of, label }) => versionOf(await versionsOf(of).record(label === '' ? undefined : label)),
    labelVersion: async ({ of, sequence, label }) => {
      const shard = versionsOf(of);
      await shard.label(sequence, label === '' ? undefined : label);
      const version = shard.versions.find((one) => one.sequence === sequence);
      if (version === undefined) throw oaasError('NotFound', `there is no version ${String(sequence)}`);
      return versionOf(version);
    },
    diffVersions: async ({ of, from, to, start }) => {
      const found = versionsOf(of).diff(named('from', from), to === '' ? 'now' : to, start === '' ? undefined : start);
      return {
        differences: found.differences.map(({ objectId, key = '', before, after, versions = [0, 0] }) => ({
          ...{ objectId, key, before: wireValue(before), after: wireValue(after) },
          ...{ versionBefore: versions[0], versionAfter: versions[1] },
        })),
        next: found.next ?? '',
      };
    },
    getObjectAt: async ({ of, at, objectId }) => {
      const shard = versionsOf(of);
      const when = at === '' ? 'now' : at;
      const object = shard.object(when, named('object_id', objectId));
      if (object === undefined) throw oaasError('NotFound', `there was no object ${objectId} at ${when}`);
      const entries = Object.fromEntries([...object.entries].map(([key, value]) => [key, valueOf(value)]));
      return { objectId, root: shard.resolve(when), version: object.meta.version, entries };
    },
    createBranch: async ({ of, branch, from }) => {
      const created = await versionsOf(of).createBranch(named('branch', branch), from === '' ? 'now' : from);
      return { ...created, node: self };
    },
    deleteBranch: async ({ of, branch }) => ({ deleted: await versionsOf(of).deleteBranch(named('branch', branch)) }),
    writeBranch: async ({ of, branch, objectId, put, remove, replace, delete: isDeleted, expectedVersion }) => {
      for (const key of [...Object.keys(put), ...remove]) formed('put and remove', key);
      const shard = versionsOf(of);
      const id = formed('object_id', objectId);
      const values = new Map(Object.entries(put).map(([key, value]) => [key, storedValue(key, value)]));
      return shard.writeBranch(
        named('branch', branch),
        isDeleted
          ? { type: 'delete', objectId: id, expectedVersion }
          : { type: 'change', objectId: id, put: values, remove, replace, expectedVersion },
      );
    },
    mergeBranch: async ({ of, branch, policy, dryRun }) => {
      const asked = policyOf(policy === '' ? 'list' : policy);
      const { objects, conflicts, isDone } = await versionsOf(of).mergeBranch(named('branch', branch), asked, dryRun);
      return {
        objects: [...objects],
        done: isDone,
        conflicts: conflicts.map(({ objectId, key = '', base, ours, theirs }) => ({
          ...{ objectId, key },
          ...{ base: wireSide(base), ours: wireSide(ours), theirs: wireSide(theirs) },
        })),
      };
    },
  };
}

function policyOf(asked: string): (typeof policies)[number] {
  const policy = policies.find((one) => one === asked);
  if (policy !== undefined) return policy;
  throw oaasError('InvalidArgument', `policy is "${asked}"`, { remedy: `Use one of ${policies.join(', ')}.` });
}

function named(field: string, text: string): string {
  if (text !== '') return text;
  throw oaasError('InvalidArgument', `${field} is empty`, { remedy: 'Give it.' });
}

function formed(field: string, text: string): string {
  if (nameForm.test(text)) return text;
  throw oaasError('InvalidArgument', `${field}: "${text.slice(0, 160)}" is no id`, {
    remedy: 'Use 1 to 160 of a-z, 0-9 and . _ : -',
  });
}

function valueOf({ data, type, expiresAt }: Value): admin.VersionedValue {
  return { data: Buffer.from(data), type, expiresAt: expiresAt === undefined ? '' : toRfc3339(expiresAt) };
}

function wireValue(value: Value | undefined): admin.VersionedValue | undefined {
  return value === undefined ? undefined : valueOf(value);
}

function wireSide(
  side: { readonly type: Value['type']; readonly value: Uint8Array } | undefined,
): admin.VersionedValue | undefined {
  return side === undefined ? undefined : valueOf({ data: side.value, type: side.type });
}

function storedValue(key: string, { data, type, expiresAt }: admin.VersionedValue): Value {
  if (expiresAt !== '') {
    throw oaasError('InvalidArgument', `put: ${key} has an expires_at`, { remedy: 'Set it after the merge.' });
  }
  if (type === '' || type === 'bytes') return { data, type: 'bytes' };
  if (type === 'crdt-map') return { data, type };
  throw oaasError('InvalidArgument', `put: the type of ${key} is "${type}"`, { remedy: 'Use bytes or crdt-map.' });
}
