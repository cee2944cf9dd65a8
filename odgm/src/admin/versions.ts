import { oaasError } from '@oaas/commons/errors';
import { toRfc3339 } from '@oaas/commons/time';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { GridNode } from '../node/index.ts';
import { EventualShard, type ShardVersions, type Value } from '../shard/index.ts';
import { snakeCase } from './json.ts';
import { flagOf, parametersOf, wholeOf } from './parameters.ts';

/** Values of a change on a branch, in base64. */
const bodyBytesMax = 16 * 1024 * 1024;

const name = z.string().regex(/^[a-z0-9._:-]{1,160}$/);
const change = z.strictObject({
  put: z
    .record(name, z.strictObject({ data: z.base64(), type: z.enum(['bytes', 'crdt-map']).default('bytes') }))
    .default({}),
  remove: z.array(name).default([]),
  /** True: entries that are not in `put` go as well. */
  replace: z.boolean().default(false),
  /** True: the object goes. */
  delete: z.boolean().default(false),
  expected_version: z.int().min(0).optional(),
});
const policies = ['list', 'ours', 'theirs', 'latest'] as const;

interface At {
  readonly Params: { readonly name: string; readonly branch: string; readonly id: string };
}

/** Versions of this node's replica of a partition. Throws `NotFound`, `FailedPrecondition` for a collection that has none. */
export function shardVersions(node: GridNode, name: string, partition: number): ShardVersions {
  const collection = node.collections().find(({ spec }) => spec.name === name);
  if (collection === undefined) throw oaasError('NotFound', `there is no collection "${name}"`);
  if (collection.spec.shardType !== 'mst') {
    throw oaasError('FailedPrecondition', `collection ${name} keeps no versions`, {
      remedy: 'Only collections of type mst do.',
    });
  }
  if (partition >= collection.partitionCount) {
    throw oaasError('InvalidArgument', `partition ${String(partition)} is out of range`, {
      remedy: `Collection ${name} has partitions 0 to ${String(collection.partitionCount - 1)}.`,
    });
  }
  const shard = collection.handle(partition);
  if (shard instanceof EventualShard) return shard.versions;
  throw oaasError('NotFound', `this node has no replica of partition ${String(partition)}`, {
    remedy: 'Ask a node that has one: see /admin/shards/distribution.',
  });
}

/** Throws `InvalidArgument`. */
export function policyOf(asked: string): (typeof policies)[number] {
  const policy = policies.find((one) => one === asked);
  if (policy !== undefined) return policy;
  throw oaasError('InvalidArgument', `policy is "${asked}"`, { remedy: `Use one of ${policies.join(', ')}.` });
}

/**
 * Versions, branches and merges of one partition (`?partition=N`, default 0) of a collection of type mst. Roots are the
 * same on all replicas with the same content; which are kept, and branches, belong to the replica of the node that is
 * asked, which the answers name.
 */
export function addVersionRoutes(app: FastifyInstance, node: GridNode): void {
  /** The versions that a request is about, and its parameters: those given, besides `partition`. */
  const asked = (
    { params, query }: { readonly params: At['Params']; readonly query: unknown },
    ...known: readonly string[]
  ): { readonly versions: ShardVersions; readonly query: Readonly<Partial<Record<string, string>>> } => {
    const parameters = parametersOf(query, ['partition', ...known]);
    return {
      versions: shardVersions(node, params.name, wholeOf('partition', parameters['partition'] ?? '0')),
      query: parameters,
    };
  };
  const base = '/admin/collections/:name';

  app.get<At>(`${base}/versions`, (request) => {
    const { versions } = asked(request);
    return {
      node: node.self.id,
      versions: versions.versions.map(({ sequence, root, atMs, label = null }) => ({
        ...{ sequence, root, label },
        at: toRfc3339(atMs),
      })),
      branches: versions.branches.map((branch) => ({ ...branch })),
    };
  });
  app.post<At>(`${base}/versions/record`, async (request) => {
    const { versions, query } = asked(request, 'label');
    const { sequence, root, atMs, label = null } = await versions.record(query['label']);
    return { node: node.self.id, sequence, root, label, at: toRfc3339(atMs) };
  });
  app.post<At>(`${base}/versions/label`, async (request) => {
    const { versions, query } = asked(request, 'sequence', 'label');
    const { sequence, label } = query;
    await versions.label(wholeOf('sequence', sequence ?? ''), label === '' ? undefined : label);
    return { success: true };
  });
  app.get<At>(`${base}/versions/diff`, (request) => {
    const { versions, query } = asked(request, 'from', 'to', 'start');
    const { from = '', to = 'now', start } = query;
    const { differences, next = null } = versions.diff(from, to, start);
    return {
      differences: differences.map(({ objectId, key = null, before, after, versions }) => ({
        ...{ object_id: objectId, key, before: valueJson(before), after: valueJson(after) },
        versions: versions ?? null,
      })),
      next,
    };
  });
  app.get<At>(`${base}/versions/objects/:id`, (request) => {
    const { versions, query } = asked(request, 'at');
    const { at = 'now' } = query;
    const object = versions.object(at, request.params.id);
    if (object === undefined) throw oaasError('NotFound', `there was no object ${request.params.id} at ${at}`);
    const entries = Object.fromEntries([...object.entries].map(([key, value]) => [key, valueJson(value)]));
    return { object_id: request.params.id, root: versions.resolve(at), version: object.meta.version, entries };
  });

  app.post<At>(`${base}/branches/:branch`, async (request) => {
    const { versions, query } = asked(request, 'from');
    const branch = await versions.createBranch(request.params.branch, query['from'] ?? 'now');
    return { node: node.self.id, ...branch };
  });
  app.delete<At>(`${base}/branches/:branch`, async (request) => ({
    success: await asked(request).versions.deleteBranch(request.params.branch),
  }));
  app.post<At>(
    `${base}/branches/:branch/objects/:id`,
    { bodyLimit: bodyBytesMax, config: { takesBody: true } },
    async (request) => {
      const { branch, id: objectId } = request.params;
      const { versions } = asked(request);
      const body = change.safeParse(request.body);
      if (!body.success || !name.safeParse(objectId).success) {
        throw oaasError('InvalidArgument', 'the body is no change of an object', {
          remedy: 'Send {"put": {"key": {"data": "<base64>"}}, "remove": ["key"]}, or {"delete": true}.',
        });
      }
      const { put, remove, replace, delete: isDeleted, expected_version: expectedVersion } = body.data;
      const values = Object.entries(put).map(([key, { data, type }]): [string, Value] => [
        key,
        { data: Buffer.from(data, 'base64'), type },
      ]);
      return versions.writeBranch(
        branch,
        isDeleted
          ? { type: 'delete', objectId, expectedVersion }
          : { type: 'change', objectId, put: new Map(values), remove, replace, expectedVersion },
      );
    },
  );
  /** `policy`: what to do where both sides changed the same; by default such conflicts are only listed. */
  app.post<At>(`${base}/branches/:branch/merge`, async (request) => {
    const { versions, query } = asked(request, 'policy', 'dry_run');
    const { policy = 'list', dry_run: isDryRun } = query;
    const merged = await versions.mergeBranch(request.params.branch, policyOf(policy), flagOf('dry_run', isDryRun));
    return {
      ...snakeCase({ objects: merged.objects, isDone: merged.isDone }),
      conflicts: merged.conflicts.map(({ objectId, key = null, base: was, ours, theirs }) => ({
        ...{ object_id: objectId, key },
        ...{ base: sideJson(was), ours: sideJson(ours), theirs: sideJson(theirs) },
      })),
    };
  });
}

interface Side {
  readonly type: 'bytes' | 'crdt-map';
  readonly value: Uint8Array;
}

function sideJson(side: Side | undefined) {
  return side === undefined ? null : valueJson({ data: side.value, type: side.type });
}

function valueJson(value: Value | undefined) {
  if (value === undefined) return null;
  const { data, type, expiresAt } = value;
  return {
    ...{ data: Buffer.from(data).toString('base64'), type },
    ...(expiresAt === undefined ? {} : { expires_at: toRfc3339(expiresAt) }),
  };
}
