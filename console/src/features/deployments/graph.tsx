'use client';

import dagre from '@dagrejs/dagre';
import { Background, Controls, Handle, Position, ReactFlow, type Edge, type Node, type NodeProps } from '@xyflow/react';
import '@xyflow/react/dist/style.css';
import { useTheme } from 'next-themes';
import { useMemo } from 'react';
import { cn } from '../../ui/cn.ts';
import { plural } from '../../ui/format.ts';
import { Glyph } from '../../ui/status.tsx';
import { resourceTone, shortName, type TreeNode } from './tree.ts';

const width = 232;
const height = 52;

type ResourceNode = Node<{ readonly node: TreeNode; readonly label: string }, 'resource'>;

/** The resource tree as a picture, left to right. The list view says the same in words. */
export default function ResourceGraph({ nodes }: { readonly nodes: readonly TreeNode[] }) {
  const { resolvedTheme } = useTheme();
  const graph = useMemo(() => layout(nodes), [nodes]);
  return (
    <div className="h-[28rem] w-full" role="group" aria-label="Resources as a graph" data-testid="resource-graph">
      <ReactFlow
        nodes={graph.nodes}
        edges={graph.edges}
        nodeTypes={nodeTypes}
        colorMode={resolvedTheme === 'dark' ? 'dark' : 'light'}
        fitView
        fitViewOptions={{ maxZoom: 1, padding: 0.12 }}
        minZoom={0.2}
        maxZoom={1.6}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        preventScrolling={false}
        zoomOnScroll={false}
        className="bg-transparent!"
      >
        <Background gap={20} size={1} color="var(--line)" />
        <Controls showInteractive={false} position="top-right" />
      </ReactFlow>
    </div>
  );
}

const nodeTypes = { resource: ResourceCard };

function ResourceCard({ data: { node, label } }: NodeProps<ResourceNode>) {
  const tone = resourceTone[node.health];
  return (
    <div
      title={node.message === '' ? node.name : `${node.name}: ${node.message}`}
      style={{ width, height }}
      className={cn(
        'flex items-center gap-2.5 rounded-md border bg-surface px-3 text-ink shadow-card',
        tone === 'bad' && 'border-bad',
        tone === 'busy' && 'border-busy',
      )}
    >
      <Handle type="target" position={Position.Left} className="invisible" />
      <Glyph tone={tone} />
      <div className="min-w-0 flex-1">
        <p className="text-2xs text-ink-3">
          {node.kind}
          {node.restarts > 0 ? `, ${plural(node.restarts, 'restart')}` : ''}
        </p>
        <p className="truncate text-xs font-medium">{label}</p>
      </div>
      <Handle type="source" position={Position.Right} className="invisible" />
    </div>
  );
}

function layout(nodes: readonly TreeNode[]): { nodes: ResourceNode[]; edges: Edge[] } {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 12, ranksep: 56 });
  graph.setDefaultEdgeLabel(() => ({}));
  // Backwards: dagre stacks siblings from the last to the first.
  for (const node of nodes.toReversed()) graph.setNode(node.id, { width, height });
  for (const node of nodes.toReversed()) if (node.parent !== null) graph.setEdge(node.parent, node.id);
  dagre.layout(graph);
  const recordName = nodes[0]?.name ?? '';
  return {
    nodes: nodes.map((node) => {
      const { x, y } = graph.node(node.id) as { readonly x?: number; readonly y?: number };
      return {
        id: node.id,
        type: 'resource',
        position: { x: (x ?? 0) - width / 2, y: (y ?? 0) - height / 2 },
        data: { node, label: shortName(node, recordName) },
      };
    }),
    edges: nodes.flatMap((node) =>
      node.parent === null
        ? []
        : [
            {
              id: `${node.parent}-${node.id}`,
              source: node.parent,
              target: node.id,
              type: 'smoothstep',
              style: { stroke: 'var(--line-strong)' },
            },
          ],
    ),
  };
}
