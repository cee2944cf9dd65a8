'use client';

import type { DeploymentRecordDetail } from '@oaas/commons/client/pm';
import { List, Workflow } from 'lucide-react';
import dynamic from 'next/dynamic';
import { useMemo } from 'react';
import { cn } from '../../ui/cn.ts';
import { plural } from '../../ui/format.ts';
import { Empty, Skeleton } from '../../ui/states.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { useSearchValue } from '../../ui/use-search.ts';
import { resourceTone, resourceTree, type TreeNode } from './tree.ts';

// The graph library is large and this is the only page with a graph.
const ResourceGraph = dynamic(() => import('./graph.tsx'), {
  ssr: false,
  loading: () => <Skeleton className="h-[28rem]" />,
});

export function Resources({ record }: { readonly record: DeploymentRecordDetail }) {
  const [view, setView] = useSearchValue('resources', 'graph');
  const nodes = useMemo(() => resourceTree(record), [record]);
  if (record.resources.length === 0) {
    return (
      <div className="rounded-lg border bg-surface">
        <Empty title="No resource yet">The cluster has made nothing for this deployment so far.</Empty>
      </div>
    );
  }
  return (
    <div className="overflow-hidden rounded-lg border bg-surface shadow-card">
      <div className="flex items-center gap-1 border-b px-3 py-1.5" role="radiogroup" aria-label="Show resources as">
        {(
          [
            ['graph', 'Graph', Workflow],
            ['list', 'List', List],
          ] as const
        ).map(([id, label, Icon]) => (
          <button
            key={id}
            type="button"
            role="radio"
            aria-checked={view === id}
            onClick={() => setView(id)}
            className={cn(
              'flex h-7 items-center gap-1.5 rounded-md px-2 text-xs font-medium',
              view === id ? 'bg-accent-soft text-accent-strong' : 'text-ink-2 hover:bg-hover',
            )}
          >
            <Icon className="size-3.5" aria-hidden="true" />
            {label}
          </button>
        ))}
        <span className="ml-auto text-xs text-ink-3">{plural(record.resources.length, 'resource')}</span>
      </div>
      {view === 'graph' ? <ResourceGraph nodes={nodes} /> : <ResourceList nodes={nodes} />}
    </div>
  );
}

function ResourceList({ nodes }: { readonly nodes: readonly TreeNode[] }) {
  return (
    <ul aria-label="Resources">
      {nodes.map((node) => (
        <li
          key={node.id}
          className="flex min-h-10 flex-wrap items-center gap-x-3 border-b px-4 py-1.5 last:border-b-0"
          data-testid="resource"
          data-kind={node.kind}
        >
          <span className="flex min-w-0 flex-1 basis-64 items-center gap-2" style={{ paddingLeft: node.depth * 20 }}>
            <span className="w-28 shrink-0 text-xs text-ink-3">{node.kind}</span>
            <span className="min-w-0 font-medium break-all">{node.name}</span>
          </span>
          <Status tone={resourceTone[node.health]} className="text-xs">
            {node.health}
          </Status>
          <span className="min-w-0 flex-1 basis-48 text-xs break-words text-ink-2">{node.message}</span>
          {node.restarts > 0 ? <span className="text-xs text-warn">{plural(node.restarts, 'restart')}</span> : null}
          {node.createdAt === null ? null : <Ago at={node.createdAt} className="w-20 text-right text-xs text-ink-3" />}
        </li>
      ))}
    </ul>
  );
}
