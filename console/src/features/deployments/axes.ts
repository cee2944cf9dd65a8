import type { Axes } from '@oaas/commons/client/pm';
import type { Tone } from '../../ui/tone.ts';

export const axisNames = ['sync', 'health', 'data', 'nfr'] as const;
export type AxisName = (typeof axisNames)[number];

export interface AxisView {
  readonly name: AxisName;
  readonly title: string;
  /** What the axis compares or watches. */
  readonly meaning: string;
  readonly tone: Tone;
  readonly word: string;
  readonly message: string;
}

const sync: Record<Axes['sync']['status'], readonly [Tone, string]> = {
  Synced: ['ok', 'Synced'],
  OutOfSync: ['warn', 'Out of sync'],
  Applying: ['busy', 'Applying'],
  Failed: ['bad', 'Failed'],
  Unknown: ['idle', 'Unknown'],
};
const health: Record<Axes['health']['status'], readonly [Tone, string]> = {
  Healthy: ['ok', 'Healthy'],
  Progressing: ['busy', 'Progressing'],
  Degraded: ['bad', 'Degraded'],
  Suspended: ['pause', 'Suspended'],
  Missing: ['bad', 'Missing'],
  Unknown: ['idle', 'Unknown'],
};
const data: Record<Axes['data']['status'], readonly [Tone, string]> = {
  Healthy: ['ok', 'Healthy'],
  Degraded: ['warn', 'Degraded'],
  Unavailable: ['bad', 'Unavailable'],
  Unknown: ['idle', 'Unknown'],
};
const nfr: Record<Axes['nfr']['status'], readonly [Tone, string]> = {
  Compliant: ['ok', 'Compliant'],
  Violated: ['warn', 'Violated'],
  NotMeasured: ['idle', 'Not measured'],
  NotRequired: ['idle', 'Not required'],
};

/** The words of each axis, for filters: value to label. */
export const axisWords: Record<AxisName, Readonly<Record<string, readonly [Tone, string]>>> = {
  sync,
  health,
  data,
  nfr,
};

const titles: Record<AxisName, readonly [string, string]> = {
  sync: ['Sync', 'Git against the record'],
  health: ['Health', 'Workloads in the cluster'],
  data: ['Data', 'Shards, replicas, objects'],
  nfr: ['NFR', 'Throughput, latency, availability'],
};

export function axisTitle(name: AxisName): string {
  return titles[name][0];
}

export function axisView(name: AxisName, axes: Axes): AxisView {
  const { status, message } = axes[name];
  const [tone, word] = axisWords[name][status] ?? (['idle', status] as const);
  const [title, meaning] = titles[name];
  return { name, title, meaning, tone, word, message };
}

/** The four axes in their fixed order. They are never merged into one. */
export function axesView(axes: Axes): readonly AxisView[] {
  return axisNames.map((name) => axisView(name, axes));
}
