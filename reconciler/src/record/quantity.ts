const suffixes: Readonly<Record<string, number>> = {
  '': 1,
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

/** The number that a Kubernetes quantity stands for, which may come as a number; undefined for what is none. */
export function quantityOf(quantity: string | number): number | undefined {
  if (typeof quantity === 'number') return quantity;
  const [, amount, suffix = ''] = /^([\d.]+(?:[eE]\d+)?)([a-zA-Z]*)$/.exec(quantity) ?? [];
  const factor = suffixes[suffix];
  return amount === undefined || factor === undefined ? undefined : Number(amount) * factor;
}
