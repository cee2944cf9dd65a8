import type { Implementation } from '../../conformance/grpc/serve.ts';

export type Unit = '/s' | 'ms' | 'MiB';

/** One line of the report: the same thing measured of each implementation, and what is demanded of ours. */
export interface Line {
  readonly name: string;
  readonly unit: Unit;
  readonly figures: Readonly<Partial<Record<Implementation, number>>>;
  readonly bars: readonly Bar[];
}

export interface Bar {
  readonly text: string;
  readonly met: boolean;
}

/** Ours against a fixed figure: at least so much for rates, less than that for all else. */
export function absolute(ours: number, unit: Unit, limit: number): Bar {
  return unit === '/s'
    ? { text: `>= ${format(limit, unit)}`, met: ours >= limit }
    : { text: `< ${format(limit, unit)}`, met: ours < limit };
}

/** Ours at least so many times the other. */
export function times(ours: number, other: number, factor: number, of = 'grpc-js'): Bar {
  return { text: `>= ${factor}x ${of}`, met: ours >= factor * other };
}

/** Ours no slower than the other; a tenth is noise. */
export function noWorse(ours: number, other: number): Bar {
  return { text: 'no worse than grpc-js', met: ours <= other * 1.1 };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

export function print(lines: readonly Line[]): void {
  const rows = lines.map(({ name, unit, figures, bars }) => {
    const { ours } = figures;
    const of = (impl: Implementation): string => {
      const figure = figures[impl];
      return figure === undefined ? '-' : format(figure, unit);
    };
    const reference = figures['grpc-js'];
    const ratio = ours === undefined || reference === undefined ? '-' : (ours / reference).toFixed(2);
    const verdicts = bars.map(({ text, met }) => `${text}: ${met ? 'met' : 'MISSED'}`).join('; ');
    return [name, of('ours'), of('grpc-js'), of('http2'), ratio, verdicts];
  });
  const head = ['', 'ours', 'grpc-js', 'node:http2', 'ours/grpc-js', 'bars'];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  for (const row of [head, ...rows]) {
    const cells = row.map((cell, i) =>
      i === 0 || i === 5 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
    );
    console.log(cells.join('  ').trimEnd());
  }
  const missed = lines.flatMap(({ name, bars }) => bars.filter(({ met }) => !met).map(({ text }) => `${name} ${text}`));
  const count = lines.reduce((sum, { bars }) => sum + bars.length, 0);
  if (count === 0) return;
  console.log(missed.length === 0 ? `\nAll ${count} bars are met.` : `\nMissed of ${count}: ${missed.join('; ')}`);
}

function format(value: number, unit: Unit): string {
  if (unit === '/s') return value >= 10_000 ? `${(value / 1000).toFixed(0)} k/s` : `${(value / 1000).toFixed(1)} k/s`;
  return unit === 'ms' ? `${value.toFixed(value < 10 ? 3 : 1)} ms` : `${value.toFixed(1)} MiB`;
}
