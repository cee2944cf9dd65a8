import type { Registry } from '../registry.ts';
import { apiVersionOf, type ResourceType } from '../resource.ts';
import type { Json } from '../types.ts';

interface Version {
  readonly version: string;
  readonly resources: ResourceType[];
}

/** Kinds of subresources, as discovery names them. */
const SUBRESOURCES: Readonly<
  Record<string, { kind?: string; group?: string; version?: string; verbs: readonly string[] }>
> = {
  status: { verbs: ['get', 'patch', 'update'] },
  scale: { kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: ['get', 'patch', 'update'] },
  log: { verbs: ['get'] },
  eviction: { kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
  binding: { kind: 'Binding', verbs: ['create'] },
  finalize: { verbs: ['update'] },
  proxy: { kind: 'ProxyOptions', verbs: ['create', 'delete', 'get', 'patch', 'update'] },
};
const PROXY_KINDS: Readonly<Record<string, string>> = {
  pods: 'PodProxyOptions',
  services: 'ServiceProxyOptions',
  nodes: 'NodeProxyOptions',
};

/** The order in which groups are shown, which decides what a bare kind name means. The rest follows by name. */
const GROUP_ORDER = [
  '',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'apiextensions.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
];

function groups(registry: Registry): Map<string, Version[]> {
  const out = new Map<string, Version[]>();
  const rank = (group: string): number =>
    GROUP_ORDER.includes(group) ? GROUP_ORDER.indexOf(group) : GROUP_ORDER.length;
  const all = registry
    .all()
    .toSorted(
      (a, b) =>
        rank(a.group) - rank(b.group) || compare(a.group, b.group) || versionRank(b.version) - versionRank(a.version),
    );
  for (const resource of all) {
    const versions = out.get(resource.group) ?? [];
    let version = versions.find((item) => item.version === resource.version);
    if (version === undefined) {
      version = { version: resource.version, resources: [] };
      versions.push(version);
    }
    version.resources.push(resource);
    out.set(resource.group, versions);
  }
  return out;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** v2 > v1 > v1beta2 > v1beta1 > v1alpha1. */
function versionRank(version: string): number {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return -1;
  const stage = match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0;
  return stage * 1_000_000 + Number(match[1]) * 1_000 + Number(match[3] ?? 0);
}

/** `apidiscovery.k8s.io/v2` of the core group or of all others. */
export function aggregatedDiscovery(registry: Registry, isCore: boolean): Json {
  const items = [...groups(registry)]
    .filter(([group]) => (group === '') === isCore)
    .map(([group, versions]) => ({
      metadata: group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
      versions: versions.map(({ version, resources }) => ({
        version,
        freshness: 'Current',
        resources: resources.map((resource) => ({
          resource: resource.plural,
          responseKind: { group: resource.group, version: resource.version, kind: resource.kind },
          scope: resource.namespaced ? 'Namespaced' : 'Cluster',
          singularResource: resource.singular,
          verbs: resource.verbs,
          ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
          ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
          ...(resource.subresources.size === 0
            ? {}
            : { subresources: [...resource.subresources].map((name) => aggregatedSubresource(resource, name)) }),
        })),
      })),
    }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items };
}

function kindOfSubresource(
  resource: ResourceType,
  name: string,
): { group: string; version: string; kind: string; verbs: readonly string[] } {
  const facts = SUBRESOURCES[name] ?? { verbs: ['get'] };
  const kind = name === 'proxy' ? (PROXY_KINDS[resource.plural] ?? 'ProxyOptions') : (facts.kind ?? resource.kind);
  return {
    group: facts.group ?? resource.group,
    version: facts.version ?? resource.version,
    kind,
    verbs: facts.verbs,
  };
}

function aggregatedSubresource(resource: ResourceType, name: string): Json {
  const { group, version, kind, verbs } = kindOfSubresource(resource, name);
  return { subresource: name, responseKind: { group, version, kind }, verbs };
}

/** `GET /api`. */
export function coreVersions(address: string): Json {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}

/** `GET /apis`. */
export function groupList(registry: Registry): Json {
  const list = [...groups(registry)]
    .filter(([group]) => group !== '')
    .map(([group, versions]) => groupEntry(group, versions));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: list };
}

/** `GET /apis/<group>`; undefined where there is no such group. */
export function groupDocument(registry: Registry, group: string): Json | undefined {
  const versions = groups(registry).get(group);
  return versions === undefined ? undefined : { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(group, versions) };
}

function groupEntry(group: string, versions: readonly Version[]): Json {
  const all = versions.map(({ version }) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: all, preferredVersion: all[0] };
}

/** `GET /api/v1` and `GET /apis/<group>/<version>`; undefined where nothing is served. */
export function resourceList(registry: Registry, group: string, version: string): Json | undefined {
  const resources = registry.all().filter((resource) => resource.group === group && resource.version === version);
  if (resources.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group, version }),
    resources: resources.flatMap((resource) => [
      {
        name: resource.plural,
        singularName: resource.singular,
        namespaced: resource.namespaced,
        kind: resource.kind,
        verbs: resource.verbs,
        ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
        ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
      },
      ...[...resource.subresources].map((name) => {
        const of = kindOfSubresource(resource, name);
        return {
          name: `${resource.plural}/${name}`,
          singularName: '',
          namespaced: resource.namespaced,
          ...(of.group === resource.group && of.version === resource.version
            ? {}
            : { group: of.group, version: of.version }),
          kind: of.kind,
          verbs: of.verbs,
        };
      }),
    ]),
  };
}
