/**
 * An ordered map from strings to bytes whose versions share structure (a persistent treap: Seidel and Aragon,
 * "Randomized Search Trees", 1996). A change costs O(log n) and leaves the older version as it was, so that a
 * snapshot is just a reference. Priorities are hashes of the keys, which makes the shape a function of the content.
 */
export interface TreapNode {
  readonly key: string;
  readonly value: Uint8Array;
  readonly priority: number;
  readonly left: Treap;
  readonly right: Treap;
}
export type Treap = TreapNode | undefined;

export function find(tree: Treap, key: string): Uint8Array | undefined {
  let node = tree;
  while (node !== undefined && node.key !== key) node = key < node.key ? node.left : node.right;
  return node?.value;
}

export function insert(tree: Treap, key: string, value: Uint8Array): TreapNode {
  if (tree === undefined) return { key, value, priority: priorityOf(key), left: undefined, right: undefined };
  if (key === tree.key) return { ...tree, value };
  if (key < tree.key) {
    const left = insert(tree.left, key, value);
    return left.priority > tree.priority ? { ...left, right: { ...tree, left: left.right } } : { ...tree, left };
  }
  const right = insert(tree.right, key, value);
  return right.priority > tree.priority ? { ...right, left: { ...tree, right: right.left } } : { ...tree, right };
}

export function remove(tree: Treap, key: string): Treap {
  if (tree === undefined) return undefined;
  if (key === tree.key) return merge(tree.left, tree.right);
  if (key < tree.key) return { ...tree, left: remove(tree.left, key) };
  return { ...tree, right: remove(tree.right, key) };
}

function merge(left: Treap, right: Treap): Treap {
  if (left === undefined) return right;
  if (right === undefined) return left;
  return left.priority > right.priority
    ? { ...left, right: merge(left.right, right) }
    : { ...right, left: merge(left, right.left) };
}

/** Nodes with start <= key < end, ascending. */
export function* between(tree: Treap, start: string, end: string): Generator<TreapNode> {
  const above: TreapNode[] = [];
  let node = tree;
  while (node !== undefined || above.length > 0) {
    while (node !== undefined) {
      if (node.key >= start) {
        above.push(node);
        node = node.left;
      } else node = node.right;
    }
    const next = above.pop();
    if (next === undefined || next.key >= end) return;
    yield next;
    node = next.right;
  }
}

function priorityOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
