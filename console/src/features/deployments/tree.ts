import type { DeploymentRecordDetail, ResourceView } from '@oaas/commons/client/pm';

export interface TreeNode {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly health: ResourceView['health'];
  readonly message: string;
  readonly restarts: number;
  readonly createdAt: string | null;
  readonly parent: string | null;
  readonly depth: number;
}

const rootId = 'record';

/**
 * The record's resources, parents before children, siblings by kind and name. A resource whose parent is not in the list hangs
 * on the record; a parent that is its own descendant is not followed twice.
 */
export function resourceTree(record: Pick<DeploymentRecordDetail, 'id' | 'resources' | 'axes'>): readonly TreeNode[] {
  const known = new Set(record.resources.map((resource) => resource.uid));
  const children = new Map<string, ResourceView[]>();
  for (const resource of record.resources) {
    const parent =
      known.has(resource.parent_uid) && resource.parent_uid !== resource.uid ? resource.parent_uid : rootId;
    children.set(parent, [...(children.get(parent) ?? []), resource]);
  }
  const nodes: TreeNode[] = [
    {
      id: rootId,
      kind: 'DeploymentRecord',
      name: record.id,
      health: rootHealth(record.axes.health.status),
      message: record.axes.health.message,
      restarts: 0,
      createdAt: null,
      parent: null,
      depth: 0,
    },
  ];
  const seen = new Set<string>();
  const visit = (parent: string, depth: number) => {
    const list = (children.get(parent) ?? []).toSorted(
      (a, b) => a.kind.localeCompare(b.kind) || a.name.localeCompare(b.name, 'en', { numeric: true }),
    );
    for (const resource of list) {
      if (seen.has(resource.uid)) continue;
      seen.add(resource.uid);
      nodes.push({
        id: resource.uid,
        kind: resource.kind,
        name: resource.name,
        health: resource.health,
        message: resource.message,
        restarts: resource.restarts,
        createdAt: resource.created_at,
        parent,
        depth,
      });
      visit(resource.uid, depth + 1);
    }
  };
  visit(rootId, 1);
  return nodes;
}

function rootHealth(status: DeploymentRecordDetail['axes']['health']['status']): ResourceView['health'] {
  switch (status) {
    case 'Healthy':
    case 'Progressing':
    case 'Degraded':
      return status;
    case 'Missing':
      return 'Degraded';
    case 'Suspended':
    case 'Unknown':
      return 'Unknown';
  }
}

export const resourceTone = { Healthy: 'ok', Progressing: 'busy', Degraded: 'bad', Unknown: 'idle' } as const;

/** What tells the record's children apart: their names without the record's id, which they all carry. */
export function shortName(node: Pick<TreeNode, 'name' | 'depth'>, recordName: string): string {
  const at = node.depth === 0 ? -1 : node.name.indexOf(`${recordName}-`);
  return at < 0 ? node.name : `${node.name.slice(0, at)}…${node.name.slice(at + recordName.length)}`;
}
