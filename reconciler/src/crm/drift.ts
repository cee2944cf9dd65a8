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

const scales: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Kubernetes writes quantities its own way: "0.5" comes back as "500m". */
function sameQuantity(a: unknown, b: unknown): boolean {
  const [left, right] = [quantity(a), quantity(b)];
  return left !== undefined && right !== undefined && Math.abs(left - right) <= Math.abs(left) * 1e-9;
}

function quantity(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const match = typeof value === 'string' ? /^([0-9.]+(?:e[0-9]+)?)([A-Za-z]*)$/.exec(value) : null;
  const scale = scales[match?.[2] ?? ''];
  return match === null || scale === undefined ? undefined : Number(match[1]) * scale;
}
