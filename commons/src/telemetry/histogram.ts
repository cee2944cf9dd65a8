import type { Histogram as PromHistogram, Registry } from 'prom-client';

/** Where the values of one combination of labels are counted. */
export interface Series {
  /** Counts one value; not a number counts as nothing. */
  observe(value: number): void;
}

export interface HistogramOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Upper bounds, rising. */
  readonly buckets: readonly number[];
}

class BucketSeries implements Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: Float64Array;
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    if (Number.isNaN(value)) return;
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at += 1;
    (this.counts[at] as number) += 1;
    this.sum += value;
  }
}

/**
 * A histogram that a registry of prom-client exposes like one of its own. Finding a series and counting in it are two
 * steps, so that whoever counts often finds it once; prom-client's own takes half a microsecond for each value.
 */
export class Histogram {
  readonly name: string;
  readonly #options: HistogramOptions;
  readonly #series = new Map<string, BucketSeries>();

  constructor(options: HistogramOptions, registry: Registry) {
    this.name = options.name;
    this.#options = options;
    // The registry asks a metric for nothing but its name and `get`.
    registry.registerMetric(this as unknown as PromHistogram);
  }

  /** The series with these labels, of which all are given; made when there is none. */
  series(labels: Readonly<Record<string, string>>): Series {
    const { labelNames, buckets } = this.#options;
    const key = labelNames.map((name) => labels[name]).join('\0');
    let found = this.#series.get(key);
    if (found === undefined) {
      found = new BucketSeries(labels, buckets);
      this.#series.set(key, found);
    }
    return found;
  }

  /** What the registry gives as JSON. */
  get(): Promise<object> {
    return Promise.resolve(this.#describe((own, shared) => ({ labels: { ...own, ...shared } })));
  }

  /** What the registry writes as text; it puts its own labels between the two. */
  getForPromString(): Promise<object> {
    return Promise.resolve(this.#describe((labels, sharedLabels) => ({ labels, sharedLabels })));
  }

  /** The buckets of each series, cumulated, and its sum and count. */
  #describe(labelled: (own: object, shared: object) => object): object {
    const { name, help, buckets } = this.#options;
    const values: object[] = [];
    for (const { labels, counts, sum } of this.#series.values()) {
      let count = 0;
      for (const [i, le] of [...buckets, '+Inf'].entries()) {
        count += counts[i] as number;
        values.push({ metricName: `${name}_bucket`, ...labelled({ le }, labels), value: count });
      }
      values.push({ metricName: `${name}_sum`, ...labelled({}, labels), value: sum });
      values.push({ metricName: `${name}_count`, ...labelled({}, labels), value: count });
    }
    return { name, help, type: 'histogram', values, aggregator: 'sum' };
  }
}
