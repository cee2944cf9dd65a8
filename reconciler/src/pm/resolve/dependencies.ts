/** A package and what it depends on. */
export interface DependencyNode {
  readonly name: string;
  readonly dependencies: readonly string[];
}

/**
 * Every cycle once, as the names along it with the first again at its end. Each begins with its smallest name, so that the order of
 * the packages does not matter. Self-dependencies are left to the package's own validation.
 *
 * Source: strongly connected components by R. Tarjan, 1972; of each component one shortest cycle is shown.
 */
export function dependencyCycles(nodes: ReadonlyMap<string, DependencyNode>): readonly (readonly string[])[] {
  return components(nodes)
    .filter((component) => component.length > 1)
    .map((component) => shortestCycle(component, nodes))
    .sort((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1));
}

/** Names in an order in which every package comes after those it depends on. Members of a cycle follow one another. */
export function dependencyOrder(nodes: ReadonlyMap<string, DependencyNode>): readonly string[] {
  return components(nodes).flat();
}

/** Tarjan's algorithm without recursion: a chain of 20,000 packages must not overflow the stack. */
function components(nodes: ReadonlyMap<string, DependencyNode>): readonly (readonly string[])[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const onStack = new Set<string>();
  const stack: string[] = [];
  const found: string[][] = [];
  const edges = (name: string) => (nodes.get(name)?.dependencies ?? []).filter((to) => nodes.has(to)).sort();

  for (const root of [...nodes.keys()].sort()) {
    if (index.has(root)) continue;
    const work: { readonly name: string; readonly next: readonly string[]; at: number }[] = [];
    const enter = (name: string) => {
      index.set(name, index.size);
      low.set(name, index.size - 1);
      stack.push(name);
      onStack.add(name);
      work.push({ name, next: edges(name), at: 0 });
    };
    enter(root);
    for (let frame = work.at(-1); frame !== undefined; frame = work.at(-1)) {
      const to = frame.next[frame.at];
      frame.at += 1;
      if (to !== undefined) {
        if (!index.has(to)) enter(to);
        else if (onStack.has(to)) low.set(frame.name, Math.min(low.get(frame.name) ?? 0, index.get(to) ?? 0));
        continue;
      }
      work.pop();
      const parent = work.at(-1);
      if (parent !== undefined) low.set(parent.name, Math.min(low.get(parent.name) ?? 0, low.get(frame.name) ?? 0));
      if (low.get(frame.name) !== index.get(frame.name)) continue;
      const component = stack.splice(stack.lastIndexOf(frame.name));
      for (const name of component) onStack.delete(name);
      found.push(component.sort());
    }
  }
  return found;
}

function shortestCycle(component: readonly string[], nodes: ReadonlyMap<string, DependencyNode>): readonly string[] {
  const [start] = component;
  if (start === undefined) return [];
  const inside = new Set(component);
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const name of queue) {
    for (const to of (nodes.get(name)?.dependencies ?? []).filter((each) => inside.has(each)).sort()) {
      if (to === start) {
        const path = [name];
        for (let back = name; back !== start; back = cameFrom.get(back) ?? start)
          path.unshift(cameFrom.get(back) ?? start);
        return [...path, start];
      }
      if (cameFrom.has(to)) continue;
      cameFrom.set(to, name);
      queue.push(to);
    }
  }
  return [start];
}
