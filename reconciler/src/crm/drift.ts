import { quantityOf } from '../record/index.ts';

/**
 * Paths at which a live object is not what was rendered. Fields that were not rendered are not looked at: they belong to
 * defaults and to others. Empty: nothing to do.
 */
export function divergence(rendered: unknown, live: unknown, path = ''): readonly string[] {
  if (Array.isArray(rendered)) {
    if (!Array.isArray(live) || live.length !== rendered.length) return [path];
    return rendered.flatMap((item, index) => divergence(item, live[index], `${path}[${String(index)}]`));
  }
  if (typeof rendered === 'object' && rendered !== null) {
    if (typeof live !== 'object' || live === null || Array.isArray(live)) {
      // An empty object is not kept by every server.
      return Object.keys(rendered).length === 0 ? [] : [path];
    }
    return Object.entries(rendered).flatMap(([key, value]) =>
      value === undefined ? [] : divergence(value, (live as Record<string, unknown>)[key], `${path}.${key}`),
    );
  }
  if (rendered === live) return [];
  return isQuantityPath(path) && sameQuantity(rendered, live) ? [] : [path];
}

function isQuantityPath(path: string): boolean {
  return path.includes('.resources.');
}

/** Kubernetes writes quantities its own way: "0.5" comes back as "500m". */
function sameQuantity(a: unknown, b: unknown): boolean {
  const [left, right] = [quantity(a), quantity(b)];
  return left !== undefined && right !== undefined && Math.abs(left - right) <= Math.abs(left) * 1e-9;
}

function quantity(value: unknown): number | undefined {
  return typeof value === 'string' || typeof value === 'number' ? quantityOf(value) : undefined;
}
