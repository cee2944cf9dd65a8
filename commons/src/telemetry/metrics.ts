import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { Histogram } from './histogram.ts';

/**
 * How a label is kept from growing without end. A list: only these values, each registered at zero. A number: the first
 * so many different values. Any other value counts as `other`.
 */
export type LabelBound = readonly string[] | number;
export type LabelBounds = Readonly<Record<string, LabelBound>>;
/** A value for each declared label. */
export type LabelValues<L extends LabelBounds> = { readonly [K in keyof L]: [L[K]] extends [never] ? never : string };

/** Bounds of a metric without labels; its values are `{}`. */
type NoLabels = Readonly<Record<string, never>>;

/** Where a value of a label goes that is not declared or over the cap. */
export const otherLabel = 'other';

export interface MetricOptions<L extends LabelBounds> {
  /** Prometheus name, such as `oaas_sync_total`; counters end in `_total`, durations in `_seconds`. */
  readonly name: string;
  readonly help: string;
  /** Labels and their bounds. Default: none. */
  readonly labels?: L | undefined;
}

export interface CounterMetric<L extends LabelBounds> {
  /** Adds `by` (default 1, never negative). */
  inc(labels: LabelValues<L>, by?: number): void;
  /** What adds one with these labels, for those who count often: some nanoseconds instead of half a microsecond. */
  bind(labels: LabelValues<L>): () => void;
}

export interface GaugeMetric<L extends LabelBounds> {
  set(labels: LabelValues<L>, value: number): void;
  inc(labels: LabelValues<L>, by?: number): void;
  dec(labels: LabelValues<L>, by?: number): void;
  /**
   * Forgets all series, and which values of labels had a place under the cap: whoever counts anew what there is now begins
   * with it. Those over the cap then add up in `other` by {@link inc}.
   */
  reset(): void;
}

export interface HistogramMetric<L extends LabelBounds> {
  observe(labels: LabelValues<L>, value: number): void;
  /** What counts a value with these labels, for those who count often. */
  bind(labels: LabelValues<L>): (value: number) => void;
}

export interface Metrics {
  readonly registry: Registry;
  counter<const L extends LabelBounds = NoLabels>(options: MetricOptions<L>): CounterMetric<L>;
  /** `collect` is called before each scrape and sets the value then. */
  gauge<const L extends LabelBounds = NoLabels>(
    options: MetricOptions<L> & { readonly collect?: (gauge: GaugeMetric<L>) => void | Promise<void> },
  ): GaugeMetric<L>;
  /** Buckets are upper bounds; default {@link durationBuckets} (seconds). */
  histogram<const L extends LabelBounds = NoLabels>(
    options: MetricOptions<L> & { readonly buckets?: readonly number[] },
  ): HistogramMetric<L>;
  /** The text exposition format. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Seconds, from half a millisecond to a minute. */
export const durationBuckets: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

export interface MetricsOptions {
  /** Added to every series as `service`. */
  readonly service: string;
  /** Also the process's own metrics (memory, event loop, garbage collection). Default false. */
  readonly processMetrics?: boolean | undefined;
}

/** A registry of its own: two programs in one process do not mix. A name that is registered twice throws. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service: options.service });
  if (options.processMetrics === true) collectDefaultMetrics({ register: registry });

  return {
    registry,
    counter(metric) {
      const bounds = new LabelBounder(metric.labels ?? {});
      const bound = new Map<string, { readonly labels: Record<string, string>; count: number }>();
      const counter = new Counter({
        ...definition(metric, bounds),
        registers: [registry],
        collect: () => {
          for (const one of bound.values()) {
            if (one.count > 0) counter.inc(one.labels, one.count);
            one.count = 0;
          }
        },
      });
      for (const labels of bounds.initial()) counter.inc(labels, 0);
      return {
        inc: (labels, by = 1) => {
          counter.inc(bounds.apply(labels), by);
        },
        bind: (labels) => {
          const bounded = bounds.apply(labels);
          const key = Object.values(bounded).join('\0');
          const one = bound.get(key) ?? { labels: bounded, count: 0 };
          bound.set(key, one);
          return () => {
            one.count += 1;
          };
        },
      };
    },
    gauge(metric) {
      const bounds = new LabelBounder(metric.labels ?? {});
      const { collect } = metric;
      const gauge = new Gauge({
        ...definition(metric, bounds),
        registers: [registry],
        ...(collect === undefined ? {} : { collect: () => collect(helpers) }),
      });
      const helpers: GaugeMetric<NonNullable<typeof metric.labels>> = {
        set: (labels, value) => {
          gauge.set(bounds.apply(labels), value);
        },
        inc: (labels, by = 1) => {
          gauge.inc(bounds.apply(labels), by);
        },
        dec: (labels, by = 1) => {
          gauge.dec(bounds.apply(labels), by);
        },
        reset: () => {
          bounds.forget();
          gauge.reset();
          begin();
        },
      };
      const begin = (): void => {
        for (const labels of bounds.initial()) gauge.set(labels, 0);
      };
      begin();
      return helpers;
    },
    histogram(metric) {
      const bounds = new LabelBounder(metric.labels ?? {});
      const { name, help, buckets = durationBuckets } = metric;
      const histogram = new Histogram({ name, help, labelNames: bounds.names, buckets }, registry);
      for (const labels of bounds.initial()) histogram.series(labels);
      return {
        observe: (labels, value) => {
          histogram.series(bounds.apply(labels)).observe(value);
        },
        bind: (labels) => {
          const series = histogram.series(bounds.apply(labels));
          return (value) => {
            series.observe(value);
          };
        },
      };
    },
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}

function definition(metric: MetricOptions<LabelBounds>, bounds: LabelBounder) {
  return { name: metric.name, help: metric.help, labelNames: bounds.names };
}

/** Series registered at zero per metric at most; a metric with more combinations of values starts empty. */
const initialSeriesMax = 256;

class LabelBounder {
  readonly names: string[];
  readonly #bounds: LabelBounds;
  readonly #seen = new Map<string, Set<string>>();

  constructor(bounds: LabelBounds) {
    this.#bounds = bounds;
    this.names = Object.keys(bounds);
  }

  apply(labels: Readonly<Record<string, string>>): Record<string, string> {
    const bounded: Record<string, string> = {};
    for (const name of this.names) bounded[name] = this.#value(name, labels[name] ?? '');
    return bounded;
  }

  /** The places under the caps are free again. */
  forget(): void {
    this.#seen.clear();
  }

  /** All combinations of declared values; none when a label's values are not known before. */
  initial(): Record<string, string>[] {
    let combinations: Record<string, string>[] = [{}];
    for (const name of this.names) {
      const bound = this.#bounds[name];
      if (bound === undefined || typeof bound === 'number') return [];
      combinations = combinations.flatMap((labels) => bound.map((value) => ({ ...labels, [name]: value })));
      if (combinations.length > initialSeriesMax) return [];
    }
    return combinations;
  }

  #value(name: string, value: string): string {
    const bound = this.#bounds[name];
    if (typeof bound !== 'number') return bound?.includes(value) === true ? value : otherLabel;
    const seen = this.#seen.get(name) ?? new Set<string>();
    this.#seen.set(name, seen);
    if (seen.has(value)) return value;
    if (seen.size >= bound) return otherLabel;
    seen.add(value);
    return value;
  }
}
