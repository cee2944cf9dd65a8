/**
 * Writes builtin.generated.json: the structure of the built-in kinds that the embedded API serves, as a real API server
 * describes them, without prose. Use: `KUBEBUILDER_ASSETS=... tsx reconciler/testkit/kubernetes/schema/generate.ts`
 */
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { startRealApi } from '../real.ts';

const SERVED: Record<string, readonly string[]> = {
  'api/v1': [
    'configmaps',
    'endpoints',
    'events',
    'limitranges',
    'namespaces',
    'nodes',
    'persistentvolumeclaims',
    'persistentvolumes',
    'pods',
    'podtemplates',
    'replicationcontrollers',
    'resourcequotas',
    'secrets',
    'serviceaccounts',
    'services',
  ],
  'apis/apps/v1': ['controllerrevisions', 'daemonsets', 'deployments', 'replicasets', 'statefulsets'],
  'apis/events.k8s.io/v1': ['events'],
  'apis/authentication.k8s.io/v1': ['selfsubjectreviews'],
  'apis/authorization.k8s.io/v1': ['selfsubjectaccessreviews', 'subjectaccessreviews', 'selfsubjectrulesreviews'],
  'apis/autoscaling/v2': ['horizontalpodautoscalers'],
  'apis/batch/v1': ['cronjobs', 'jobs'],
  'apis/networking.k8s.io/v1': ['ingressclasses', 'ingresses', 'networkpolicies'],
  'apis/policy/v1': ['poddisruptionbudgets'],
  'apis/rbac.authorization.k8s.io/v1': ['clusterrolebindings', 'clusterroles', 'rolebindings', 'roles'],
  'apis/storage.k8s.io/v1': ['storageclasses'],
  'apis/apiextensions.k8s.io/v1': ['customresourcedefinitions'],
  'apis/scheduling.k8s.io/v1': ['priorityclasses'],
  'apis/coordination.k8s.io/v1': ['leases'],
  'apis/discovery.k8s.io/v1': ['endpointslices'],
};
/** Kinds that are answered but never stored, and kinds of subresources. */
const EXTRA_KINDS = ['io.k8s.api.autoscaling.v1.Scale', 'io.k8s.api.policy.v1.Eviction', 'io.k8s.api.core.v1.Binding'];
const SUBRESOURCES = new Set(['status', 'scale', 'log', 'proxy', 'eviction', 'binding', 'finalize']);
const KEPT = new Set([
  'type',
  'format',
  'properties',
  'required',
  'items',
  'additionalProperties',
  '$ref',
  'default',
  'enum',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-patch-merge-key',
  'x-kubernetes-patch-strategy',
  'x-kubernetes-group-version-kind',
  'x-kubernetes-unions',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-int-or-string',
]);
const PREFIX = '#/components/schemas/';

interface DiscoveredResource {
  resource: string;
  responseKind: { kind: string };
  scope: string;
  singularResource: string;
  verbs: string[];
  shortNames?: string[];
  categories?: string[];
  subresources?: { subresource: string }[];
}

function compact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(compact);
  if (typeof value !== 'object' || value === null) return value;
  const source = value as Record<string, unknown>;
  const out: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(source)) {
    if (!KEPT.has(key)) continue;
    if (key === 'default') {
      // Zero values are what Go decodes anyway; `{}` marks a struct that is never absent, which field ownership needs.
      const isStruct =
        typeof inner === 'object' && inner !== null && !Array.isArray(inner) && source['allOf'] !== undefined;
      if (isStruct || (inner !== '' && inner !== 0 && inner !== false && typeof inner !== 'object'))
        out['default'] = inner;
      continue;
    }
    if (key === 'properties') {
      out[key] = Object.fromEntries(Object.entries(inner as object).map(([name, schema]) => [name, compact(schema)]));
      continue;
    }
    if (key === '$ref') out[key] = (inner as string).slice(PREFIX.length);
    else out[key] = typeof inner === 'object' ? compact(inner) : inner;
  }
  const gvks = source['x-kubernetes-group-version-kind'];
  if (Array.isArray(gvks)) out['x-kubernetes-group-version-kind'] = gvks;
  const allOf = source['allOf'];
  if (Array.isArray(allOf) && allOf.length === 1) Object.assign(out, compact(allOf[0]));
  const oneOf = source['oneOf'];
  if (Array.isArray(oneOf)) out['x-kubernetes-int-or-string'] = JSON.stringify(oneOf).includes('integer');
  return out;
}

function refsOf(schema: unknown, found: Set<string>): void {
  if (typeof schema !== 'object' || schema === null) return;
  for (const [key, inner] of Object.entries(schema)) {
    if (key === '$ref' && typeof inner === 'string') found.add(inner);
    else refsOf(inner, found);
  }
}

async function main(): Promise<void> {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  if (assets === undefined) throw new Error('set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver');
  const api = await startRealApi({ assets });
  const agent = new Agent({ ca: api.caPem, keepAlive: true });
  const get = (path: string, accept = 'application/json'): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${api.token}`, accept };
      const call = request(`${api.url}${path}`, { agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        });
      });
      call.once('error', reject);
      call.end();
    });
  try {
    const discovery = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const definitions: Record<string, unknown> = {};
    const resources: unknown[] = [];
    const groups = (
      await Promise.all(
        ['/api', '/apis'].map(
          async (path) =>
            (await get(path, discovery)) as {
              items: {
                metadata: { name?: string };
                versions: { version: string; resources: DiscoveredResource[] }[];
              }[];
            },
        ),
      )
    ).flatMap((list) => list.items);
    for (const [path, plurals] of Object.entries(SERVED)) {
      const parts = path.split('/');
      const group = parts.length === 3 ? (parts[1] ?? '') : '';
      const version = parts.at(-1) ?? '';
      const document = (await get(`/openapi/v3/${path}`)) as {
        components: { schemas: Record<string, Record<string, unknown>> };
      };
      for (const [name, schema] of Object.entries(document.components.schemas)) definitions[name] ??= compact(schema);
      const found = groups
        .find((item) => (item.metadata.name ?? '') === group)
        ?.versions.find((item) => item.version === version);
      for (const plural of plurals) {
        const resource = found?.resources.find((item) => item.resource === plural);
        if (resource === undefined) throw new Error(`${path} has no ${plural}`);
        const kind = resource.responseKind.kind;
        const definition = Object.keys(document.components.schemas).find((name) => {
          const gvks = document.components.schemas[name]?.['x-kubernetes-group-version-kind'];
          return (
            Array.isArray(gvks) &&
            gvks.some(
              (gvk: { group: string; version: string; kind: string }) =>
                gvk.group === group && gvk.version === version && gvk.kind === kind,
            )
          );
        });
        resources.push({
          group,
          version,
          plural,
          singular: resource.singularResource,
          kind,
          namespaced: resource.scope === 'Namespaced',
          verbs: resource.verbs,
          shortNames: resource.shortNames ?? [],
          categories: resource.categories ?? [],
          subresources: (resource.subresources ?? [])
            .map((sub) => sub.subresource)
            .filter((sub) => SUBRESOURCES.has(sub)),
          definition,
        });
      }
    }
    const wanted = new Set<string>(EXTRA_KINDS);
    for (const resource of resources as { definition: string }[]) wanted.add(resource.definition);
    for (const name of wanted) refsOf(definitions[name], wanted);
    const version = (await get('/version')) as { gitVersion: string };
    const kept = Object.fromEntries([...wanted].sort().map((name) => [name, definitions[name]]));
    const target = new URL('builtin.generated.json', import.meta.url);
    await writeFile(target, `${JSON.stringify({ kubernetes: version.gitVersion, resources, definitions: kept })}\n`);
  } finally {
    agent.destroy();
    await api.stop();
  }
}

await main();
