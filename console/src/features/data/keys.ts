import type { ListQuery, PlatformEvent } from '@oaas/commons/client/pm';

/** Names of what is kept of PM's answers. A shorter key stands for all that begin with it. */
export const keys = {
  whoami: ['whoami'] as const,
  overview: ['overview'] as const,
  sources: ['sources'] as const,
  sourceList: (query: ListQuery) => ['sources', 'list', query] as const,
  source: (name: string) => ['sources', 'one', name] as const,
  runs: ['runs'] as const,
  runList: (source: string, query: ListQuery) => ['runs', source, query] as const,
  plan: (id: string) => ['plans', id] as const,
  packages: ['packages'] as const,
  packageList: (query: ListQuery) => ['packages', 'list', query] as const,
  package: (name: string) => ['packages', 'one', name] as const,
  records: ['records'] as const,
  recordList: (query: ListQuery) => ['records', 'list', query] as const,
  record: (id: string) => ['records', 'one', id] as const,
  clusters: ['clusters'] as const,
  clusterList: (query: ListQuery) => ['clusters', 'list', query] as const,
  grid: (environment: string, deployment: string) => ['grid', environment, deployment] as const,
  audit: ['audit'] as const,
  auditList: (query: ListQuery) => ['audit', query] as const,
};

export type Key = readonly unknown[];

/** What an event of the platform makes out of date; null: everything. */
export function staleAfter(event: Pick<PlatformEvent, 'topic' | 'key'>): readonly Key[] | null {
  switch (event.topic) {
    case 'reset':
      return null;
    case 'source':
      return [['sources', 'list'], keys.source(event.key), keys.overview, keys.audit];
    case 'run':
      return [keys.runs, keys.overview];
    case 'plan':
      return [keys.plan(event.key)];
    case 'package':
      return [['packages', 'list'], keys.package(event.key), keys.overview];
    case 'record':
      return [['records', 'list'], keys.record(event.key), keys.overview, keys.clusters];
    case 'cluster':
      return [keys.clusters, keys.overview];
    default:
      return null;
  }
}

/** The keys of several events, each once. Null as soon as one of them is "everything". */
export function staleAfterAll(events: readonly Pick<PlatformEvent, 'topic' | 'key'>[]): readonly Key[] | null {
  const found = new Map<string, Key>();
  for (const event of events) {
    const list = staleAfter(event);
    if (list === null) return null;
    for (const key of list) found.set(JSON.stringify(key), key);
  }
  return [...found.values()];
}
