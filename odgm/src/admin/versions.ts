import { oaasError } from '@oaas/commons/errors';
import type { CallOptions } from '@oaas/commons/grpc';
import type { admin } from '@oaas/proto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { actions, audited } from './actions.ts';
import type { Caller } from './caller.ts';
import { flagOf, parametersOf, wholeOf } from './parameters.ts';
import type { VersionCalls } from './version-calls.ts';
import type { VersionHolders } from './version-holders.ts';

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

interface At {
  readonly Params: { readonly name: string; readonly branch: string; readonly objectId: string };
}

/**
 * Versions, branches and merges of one partition (`?partition=N`, default 0) of a collection of type mst. Roots are the
 * same on all replicas with the same content, and so are labels and branches; numbers, and which versions without a
 * label are kept, are each replica's own: see {@link VersionHolders}. Answers name its node; `?node=` asks another one.
 */
export function addVersionRoutes(
  app: FastifyInstance,
  holders: VersionHolders,
  callerOf: (request: FastifyRequest) => Promise<Caller>,
): void {
  /** The parameters of a request, besides `partition` and `node`, and a call to whoever keeps the versions that it is about. */
  const asked = (request: FastifyRequest<At>, ...known: readonly string[]) => {
    const { params } = request;
    const parameters = parametersOf(request.query, ['partition', ...known, 'node']);
    const { partition = '0', node = '', ...query } = parameters;
    const of = { deploymentId: '', collection: params.name, partition: wholeOf('partition', partition), node };
    const ask = async <T>(call: (versions: VersionCalls, options?: CallOptions) => Promise<T>): Promise<T> =>
      holders.ask(of, await callerOf(request), call);
    return { of, query: query as Readonly<Partial<Record<string, string>>>, ask };
  };
  const base = '/admin/collections/:name';

  app.get<At>(`${base}/versions`, async (request) => {
    const { of, ask } = asked(request);
    const { node, versions, branches } = await ask((calls, options) => calls.listVersions(of, options));
    return { node, versions: versions.map(versionJson), branches };
  });
  app.post<At>(`${base}/versions/record`, audited(actions.recordVersion), async (request) => {
    const { of, query, ask } = asked(request, 'label');
    const { label = '' } = query;
    return versionJson(await ask((calls, options) => calls.recordVersion({ of, label }, options)));
  });
  app.post<At>(`${base}/versions/label`, audited(actions.labelVersion), async (request) => {
    const { of, query, ask } = asked(request, 'sequence', 'label');
    const sequence = wholeOf('sequence', query['sequence'] ?? '');
    const { label = '' } = query;
    await ask((calls, options) => calls.labelVersion({ of, sequence, label }, options));
    return { success: true };
  });
  app.get<At>(`${base}/versions/diff`, async (request) => {
    const { of, query, ask } = asked(request, 'from', 'to', 'start');
    const { from = '', to = 'now', start = '' } = query;
    const { differences, next } = await ask((calls, options) => calls.diffVersions({ of, from, to, start }, options));
    return {
      differences: differences.map(({ objectId, key, before, after, versionBefore, versionAfter }) => ({
        ...{ object_id: objectId, key: orNull(key), before: valueJson(before), after: valueJson(after) },
        versions: key === '' ? [versionBefore, versionAfter] : null,
      })),
      next: orNull(next),
    };
  });
  app.get<At>(`${base}/versions/objects/:objectId`, async (request) => {
    const { of, query, ask } = asked(request, 'at');
    const { at = 'now' } = query;
    const { objectId } = request.params;
    const { root, version, entries } = await ask((calls, options) => calls.getObjectAt({ of, at, objectId }, options));
    const shown = Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, valueJson(value)]));
    return { object_id: objectId, root, version, entries: shown };
  });

  app.post<At>(`${base}/branches/:branch`, audited(actions.createBranch), (request) => {
    const { of, query, ask } = asked(request, 'from');
    const { from = 'now' } = query;
    const { branch } = request.params;
    return ask((calls, options) => calls.createBranch({ of, branch, from }, options));
  });
  app.delete<At>(`${base}/branches/:branch`, audited(actions.deleteBranch), async (request) => {
    const { of, ask } = asked(request);
    const { branch } = request.params;
    const { deleted } = await ask((calls, options) => calls.deleteBranch({ of, branch }, options));
    return { success: deleted };
  });
  app.post<At>(
    `${base}/branches/:branch/objects/:objectId`,
    { bodyLimit: bodyBytesMax, config: { ...audited(actions.writeBranch).config, takesBody: true } },
    async (request) => {
      const { branch, objectId } = request.params;
      const { of, ask } = asked(request);
      const body = change.safeParse(request.body);
      if (!body.success || !name.safeParse(objectId).success) {
        throw oaasError('InvalidArgument', 'the body is no change of an object', {
          remedy: 'Send {"put": {"key": {"data": "<base64>"}}, "remove": ["key"]}, or {"delete": true}.',
        });
      }
      const { put, expected_version: expectedVersion, ...rest } = body.data;
      const values = Object.entries(put).map(([key, { data, type }]): [string, admin.VersionedValue] => [
        key,
        { data: Buffer.from(data, 'base64'), type, expiresAt: '' },
      ]);
      const written = { of, branch, objectId, put: Object.fromEntries(values), expectedVersion, ...rest };
      return ask((calls, options) => calls.writeBranch(written, options));
    },
  );
  /** `policy`: what to do where both sides changed the same; by default such conflicts are only listed. */
  app.post<At>(`${base}/branches/:branch/merge`, audited(actions.mergeBranch), async (request) => {
    const { of, query, ask } = asked(request, 'policy', 'dry_run');
    const { policy = 'list' } = query;
    const { branch } = request.params;
    const dryRun = flagOf('dry_run', query['dry_run']);
    const merged = await ask((calls, options) => calls.mergeBranch({ of, branch, policy, dryRun }, options));
    return {
      ...{ objects: merged.objects, is_done: merged.done },
      conflicts: merged.conflicts.map(({ objectId, key, base: was, ours, theirs }) => ({
        ...{ object_id: objectId, key: orNull(key) },
        ...{ base: valueJson(was), ours: valueJson(ours), theirs: valueJson(theirs) },
      })),
    };
  });
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}

function versionJson({ sequence, root, label, at, node }: admin.Version) {
  return { sequence, root, label: orNull(label), at, node };
}

function valueJson(value: admin.VersionedValue | undefined) {
  if (value === undefined) return null;
  const { data, type, expiresAt } = value;
  return { data: data.toString('base64'), type, ...(expiresAt === '' ? {} : { expires_at: expiresAt }) };
}
