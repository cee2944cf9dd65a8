import type { Axes } from '@oaas/commons/client/pm';
import { Database, GitCompareArrows, Gauge, HeartPulse, type LucideIcon } from 'lucide-react';
import { cn } from '../../ui/cn.ts';
import { formatBytes, formatCompact, formatMs, formatPercent } from '../../ui/format.ts';
import { Meter } from '../../ui/meter.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { axesView, axisView, type AxisName } from './axes.ts';

export const axisIcons: Record<AxisName, LucideIcon> = {
  sync: GitCompareArrows,
  health: HeartPulse,
  data: Database,
  nfr: Gauge,
};

/** One axis in a table's cell. */
export function AxisCell({ axes, name }: { readonly axes: Axes; readonly name: AxisName }) {
  const axis = axisView(name, axes);
  return (
    <Status
      tone={axis.tone}
      title={axis.message}
      className={axis.tone === 'ok' || axis.tone === 'idle' ? 'font-normal' : ''}
    >
      {axis.word}
    </Status>
  );
}

/** The four axes side by side, each with its message and its figures. */
export function AxesStrip({ axes }: { readonly axes: Axes }) {
  return (
    <section
      aria-label="The four axes"
      className="grid grid-cols-4 overflow-hidden rounded-lg border bg-line shadow-card max-xl:grid-cols-2 max-sm:grid-cols-1 gap-px"
    >
      {axesView(axes).map((axis) => {
        const Icon = axisIcons[axis.name];
        return (
          <div key={axis.name} className="flex min-w-0 flex-col gap-2 bg-surface p-4" data-testid={`axis-${axis.name}`}>
            <div className="flex items-center gap-1.5 text-xs text-ink-3">
              <Icon className="size-3.5" aria-hidden="true" />
              <h2 className="font-medium text-ink-2">{axis.title}</h2>
              <span className="truncate max-2xl:hidden">{axis.meaning}</span>
            </div>
            <Status tone={axis.tone} className="text-lg">
              {axis.word}
            </Status>
            <p className="text-xs break-words text-ink-2">{axis.message}</p>
            <AxisFigures axes={axes} name={axis.name} />
          </div>
        );
      })}
    </section>
  );
}

function AxisFigures({ axes, name }: { readonly axes: Axes; readonly name: AxisName }) {
  if (name === 'data') {
    const { data } = axes;
    return (
      <div className="mt-auto flex flex-col gap-1.5 pt-1">
        <Meter
          label="Shards ready"
          total={data.shards_total}
          parts={[
            { tone: 'ok', value: data.shards_ready, word: 'ready' },
            {
              tone: data.status === 'Unknown' ? 'idle' : 'warn',
              value: data.shards_total - data.shards_ready,
              word: 'not ready',
            },
          ]}
        />
        <p className="flex flex-wrap gap-x-3 text-xs text-ink-2">
          <Figure value={`${data.shards_ready}/${data.shards_total}`} unit="shards" />
          <Figure value={`${data.members_ready}/${data.members_total}`} unit="members" />
          {data.objects === null ? null : <Figure value={formatCompact(data.objects)} unit="objects" />}
          {data.bytes === null ? null : <Figure value={formatBytes(data.bytes)} unit="" />}
        </p>
        <p className="text-2xs text-ink-3">
          {/* The figures are written when they change, so their age alone does not make them old. */}
          {data.status === 'Unknown' ? 'As of' : 'Changed'} <Ago at={data.observed_at} />
        </p>
      </div>
    );
  }
  if (name === 'nfr') {
    const { min_throughput_rps: rps, max_latency_ms: latency, availability } = axes.nfr;
    if (rps === null && latency === null && availability === null) return null;
    return (
      <p className="mt-auto flex flex-wrap gap-x-3 pt-1 text-xs text-ink-2">
        {rps === null ? null : <Figure value={`≥ ${formatCompact(rps)}`} unit="calls/s" />}
        {latency === null ? null : <Figure value={`≤ ${formatMs(latency)}`} unit="" />}
        {availability === null ? null : <Figure value={`≥ ${formatPercent(availability)}`} unit="" />}
      </p>
    );
  }
  return null;
}

function Figure({
  value,
  unit,
  className,
}: {
  readonly value: string;
  readonly unit: string;
  readonly className?: string;
}) {
  return (
    <span className={cn('whitespace-nowrap', className)}>
      <span className="font-medium text-ink">{value}</span> {unit}
    </span>
  );
}
