const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
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

/** The number that a Kubernetes quantity stands for. A schema has checked its form. */
export function quantityOf(text: string): number {
  const [, amount, suffix] = /^([\d.]+(?:[eE]\d+)?)([a-zA-Z]*)$/.exec(text) ?? [];
  return Number(amount) * (suffix === undefined || suffix === '' ? 1 : (suffixes[suffix] ?? 1));
}
