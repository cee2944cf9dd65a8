/** One line of the report. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly bar: string;
  readonly met: boolean | undefined;
}

export function percentile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(fraction * sorted.length) - 1)] ?? Number.NaN;
}

const ms = (value: number): string => (value < 1000 ? `${value.toFixed(0)} ms` : `${(value / 1000).toFixed(2)} s`);

/** Median, 95th percentile, least and greatest of a series of milliseconds; the bar is for the 95th percentile. */
export function series(name: string, values: readonly number[], barMs?: number): Figure {
  const p95 = percentile(values, 0.95);
  return {
    name: `${name} (${values.length} runs)`,
    value: `p50 ${ms(percentile(values, 0.5))}  p95 ${ms(p95)}  min ${ms(Math.min(...values))}  max ${ms(Math.max(...values))}`,
    bar: barMs === undefined ? '' : `p95 < ${ms(barMs)}`,
    met: barMs === undefined ? undefined : p95 < barMs,
  };
}

export function single(name: string, valueMs: number, barMs?: number): Figure {
  return {
    name,
    value: ms(valueMs),
    bar: barMs === undefined ? '' : `< ${ms(barMs)}`,
    met: barMs === undefined ? undefined : valueMs < barMs,
  };
}

export function memory(name: string, kib: number, barMiB?: number): Figure {
  const mib = kib / 1024;
  return {
    name,
    value: `${mib.toFixed(0)} MiB`,
    bar: barMiB === undefined ? '' : `< ${barMiB} MiB`,
    met: barMiB === undefined ? undefined : mib < barMiB,
  };
}

export function print(title: string, figures: readonly Figure[]): void {
  const width = Math.max(...figures.map((figure) => figure.name.length));
  console.log(`\n${title}`);
  for (const { name, value, bar, met } of figures) {
    const verdict = met === undefined ? '' : met ? 'met' : 'MISSED';
    console.log(`  ${name.padEnd(width)}  ${value}${bar === '' ? '' : `   [${bar}: ${verdict}]`}`);
  }
}
