import type { CallContext, ServiceHandlers } from '@oaas/commons/grpc';
import { type JsonValue, oaasError } from '@oaas/commons/errors';
import { toRfc3339 } from '@oaas/commons/time';
import type { admin } from '@oaas/proto';
import type { GridNode } from '../node/index.ts';
import type { ShardVersions, Value } from '../shard/index.ts';
import { policyOf, shardVersions } from './versions.ts';

export interface GridVersionsOptions {
  readonly node: GridNode;
  /** Refuses callers that may not read the collection. */
  readonly allow: (context: CallContext, collection: string | undefined) => Promise<void>;
  /** The same, and records the call. */
  readonly changing: <T>(
    context: CallContext,
    action: string,
    resource: string,
    diff: JsonValue,
    run: () => Promise<T>,
  ) => Promise<T>;
}

type Methods =
  | 'listVersions'
  | 'recordVersion'
  | 'labelVersion'
  | 'diffVersions'
  | 'getObjectAt'
  | 'createBranch'
  | 'deleteBranch'
  | 'writeBranch'
  | 'mergeBranch';

const nameForm = /^[a-z0-9._:-]{1,160}$/;

/** Versions and branches of collections of type mst, as `/admin/collections/:name/versions` and `/branches` have them. */
export function gridVersions({
  node,
  allow,
  changing,
}: GridVersionsOptions): Required<Pick<ServiceHandlers<typeof admin.GridAdminDefinition>, Methods>> {
  const versionsOf = (of: admin.VersionsRequest | undefined): ShardVersions => {
    const { collection, partition } = of ?? { collection: '', partition: 0 };
    return shardVersions(node, named('of.collection', collection), partition);
  };
  const resourceOf = (of: admin.VersionsRequest | undefined): string => `collection/${of?.collection ?? ''}`;
  return {
    listVersions: async (of, context) => {
      await allow(context, of.collection);
      const { versions, branches } = versionsOf(of);
      return Promise.resolve({
        node: node.self.id,
        versions: versions.map(versionOf),
        branches: branches.map((branch) => ({ ...branch })),
      });
    },
    recordVersion: ({ of, label }, context) =>
      changing(context, 'version.record', resourceOf(of), { label }, async () =>
        versionOf(await versionsOf(of).record(label === '' ? undefined : label)),
      ),
    labelVersion: ({ of, sequence, label }, context) =>
      changing(context, 'version.label', resourceOf(of), { sequence, label }, async () => {
        const shard = versionsOf(of);
        await shard.label(sequence, label === '' ? undefined : label);
        const version = shard.versions.find((one) => one.sequence === sequence);
        if (version === undefined) throw oaasError('NotFound', `there is no version ${String(sequence)}`);
        return versionOf(version);
      }),
    diffVersions: async ({ of, from, to, start }, context) => {
      await allow(context, of?.collection);
      const found = versionsOf(of).diff(named('from', from), to === '' ? 'now' : to, start === '' ? undefined : start);
      return Promise.resolve({
        differences: found.differences.map(({ objectId, key = '', before, after, versions = [0, 0] }) => ({
          ...{ objectId, key, before: wireValue(before), after: wireValue(after) },
          ...{ versionBefore: versions[0], versionAfter: versions[1] },
        })),
        next: found.next ?? '',
      });
    },
    getObjectAt: async ({ of, at, objectId }, context) => {
      await allow(context, of?.collection);
      const shard = versionsOf(of);
      const when = at === '' ? 'now' : at;
      const object = shard.object(when, named('object_id', objectId));
      if (object === undefined) throw oaasError('NotFound', `there was no object ${objectId} at ${when}`);
      const entries = Object.fromEntries([...object.entries].map(([key, value]) => [key, valueOf(value)]));
      return Promise.resolve({ objectId, root: shard.resolve(when), version: object.meta.version, entries });
    },
    createBranch: ({ of, branch, from }, context) =>
      changing(context, 'branch.create', resourceOf(of), { branch, from }, async () => ({
        ...(await versionsOf(of).createBranch(named('branch', branch), from === '' ? 'now' : from)),
      })),
    deleteBranch: ({ of, branch }, context) =>
      changing(context, 'branch.delete', resourceOf(of), { branch }, async () => ({
        deleted: await versionsOf(of).deleteBranch(named('branch', branch)),
      })),
    writeBranch: ({ of, branch, objectId, put, remove, replace, delete: isDeleted, expectedVersion }, context) =>
      changing(context, 'branch.write', resourceOf(of), { branch, objectId }, async () => {
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
      }),
    mergeBranch: async ({ of, branch, policy, dryRun }, context) => {
      const merge = async () => {
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
      };
      if (!dryRun) return changing(context, 'branch.merge', resourceOf(of), { branch, policy }, merge);
      await allow(context, of?.collection);
      return merge();
    },
  };
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

function versionOf({ sequence, root, atMs, label = '' }: ShardVersions['versions'][number]): admin.Version {
  return { sequence, root, label, at: toRfc3339(atMs) };
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
