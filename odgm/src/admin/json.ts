import type { Metrics } from '@oaas/commons/telemetry';
import type { CollectionView } from './view.ts';

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** The same value with the keys of all objects in snake_case, as the admin API has them. */
export function snakeCase(value: object): { [key: string]: Json } {
  return convert(value as Json) as { [key: string]: Json };
}

function convert(value: Json): Json {
  if (Array.isArray(value)) return value.map(convert);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      convert(item),
    ]),
  );
}

/** The other way round, for bodies. What is no object stays what it is, for a schema to refuse. */
export function camelCase(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]: [string, unknown]) => [camelName(key), camelCase(item)]),
  );
}

export function camelName(name: string): string {
  return name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

/** A collection as `GET /admin/collections/:name` gives it. */
export function collectionJson(view: CollectionView): { [key: string]: Json } {
  const { shards, ...rest } = view;
  return { ...snakeCase(rest), shard_distribution: shards.map(snakeCase) };
}

/** Every series as `name{label="value",…}` -> number. */
export async function metricValues(metrics: Metrics): Promise<Record<string, number>> {
  const values: Record<string, number> = {};
  for (const metric of await metrics.registry.getMetricsAsJSON()) {
    for (const sample of metric.values) {
      const name = (sample as { metricName?: string }).metricName ?? metric.name;
      const labels = Object.entries(sample.labels).map(([label, value]) => `${label}="${String(value)}"`);
      values[labels.length === 0 ? name : `${name}{${labels.join(',')}}`] = sample.value;
    }
  }
  return values;
}

/** Metrics for programs that want numbers and not the text format; histograms as their sum and count only. */
export async function metricsJson(metrics: Metrics): Promise<{ metrics: Record<string, number> }> {
  const values = await metricValues(metrics);
  return { metrics: Object.fromEntries(Object.entries(values).filter(([name]) => !name.includes('_bucket{'))) };
}
