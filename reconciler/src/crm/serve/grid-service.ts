import { oaasError } from '@oaas/commons/errors';
import type { ServiceHandlers } from '@oaas/commons/grpc';
import { admin } from '@oaas/proto';
import type { Caches } from '../cluster/caches.ts';
import type { GridHttp } from '../observe/grid-http.ts';

export interface GridServiceOptions {
  readonly http: GridHttp;
  readonly caches: Caches;
  readonly namespace: string;
}

/**
 * `oaas.admin.v1.GridAdmin` for the grid of the deployment that a request names. Answers come from the grid's admin API
 * at that moment. What grids do not offer is not served here either: such calls are `Unimplemented`.
 */
export function gridService({
  http,
  caches,
  namespace,
}: GridServiceOptions): ServiceHandlers<typeof admin.GridAdminDefinition> {
  async function answerOf(deploymentId: string, path: string, signal: AbortSignal): Promise<Json> {
    if (deploymentId === '') {
      throw oaasError('InvalidArgument', 'deployment_id: is missing', {
        remedy: 'Name the deployment whose grid is meant.',
      });
    }
    if (caches.records.get(`${namespace}/${deploymentId}`) === undefined) {
      throw oaasError('NotFound', `there is no deployment "${deploymentId}"`);
    }
    return (await http.get(deploymentId, path, signal)) as Json;
  }
  async function ask(deploymentId: string, path: string, signal: AbortSignal): Promise<Json> {
    return camelCase(await answerOf(deploymentId, path, signal)) as Json;
  }

  return {
    getClusterStatus: async ({ deploymentId }, { signal }) =>
      admin.ClusterStatus.fromPartial(withoutNulls(await ask(deploymentId, '/admin/cluster/status', signal))),
    listMembers: async ({ deploymentId }, { signal }) =>
      admin.ListMembersResponse.fromPartial(await ask(deploymentId, '/admin/cluster/members', signal)),
    listCollections: async ({ deploymentId }, { signal }) => {
      const answer = await ask(deploymentId, '/admin/collections', signal);
      const collections = (answer['collections'] ?? []) as readonly Json[];
      return { collections: collections.map(collection) };
    },
    getCollection: async ({ deploymentId, name }, { signal }) =>
      collection(await ask(deploymentId, `/admin/collections/${encodeURIComponent(name)}`, signal)),
    getShardDistribution: async (request, { signal }) => {
      const answer = await ask(request.deploymentId, '/admin/shards/distribution', signal);
      const distribution = admin.ShardDistribution.fromPartial(answer);
      if (request.collection === '') return distribution;
      return {
        ...distribution,
        shards: distribution.shards.filter((shard) => shard.collection === request.collection),
      };
    },
    getDiagnostics: async ({ deploymentId }, { signal }) =>
      diagnostics(await answerOf(deploymentId, '/admin/diagnostics', signal)),
    getMetricsSnapshot: async ({ deploymentId }, { signal }) => {
      const { metrics } = (await http.get(deploymentId, '/admin/metrics', signal)) as {
        readonly metrics?: Readonly<Record<string, number>>;
      };
      return { values: { ...metrics }, takenAt: '' };
    },
  };
}

type Json = Readonly<Record<string, unknown>>;

function collection({ shardDistribution, ...rest }: Json): admin.Collection {
  return admin.Collection.fromPartial({ ...rest, shards: (shardDistribution ?? []) as admin.Shard[] });
}

/** The admin API has the findings of the cluster and of shards area by area; a message has them in one list each. */
function diagnostics(report: Json): admin.Diagnostics {
  const within = (name: string): admin.Finding[] => {
    const part = report[name];
    const areas = Array.isArray(part) ? { [name]: part } : ((part ?? {}) as Json);
    return Object.entries(areas).flatMap(([area, findings]) =>
      (findings as readonly Partial<admin.Finding>[]).map((finding) => admin.Finding.fromPartial({ ...finding, area })),
    );
  };
  const takenAt = report['taken_at'];
  return {
    cluster: within('cluster'),
    shards: within('shards'),
    events: within('events'),
    performance: within('performance'),
    resources: within('resources'),
    takenAt: typeof takenAt === 'string' ? takenAt : '',
  };
}

/** The admin API says null where a message has an empty text. */
function withoutNulls(value: Json): Json {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== null));
}

function camelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase()),
      camelCase(inner),
    ]),
  );
}
