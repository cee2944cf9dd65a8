import type { Overview } from '@oaas/commons/client/pm';
import type { Tone } from '../../ui/tone.ts';

export interface StationView {
  readonly id: 'git' | 'sync' | 'health' | 'data';
  readonly title: string;
  readonly href: string;
  readonly value: number;
  readonly total: number;
  readonly unit: string;
  readonly tone: Tone;
  readonly notes: readonly { readonly tone: Tone; readonly text: string; readonly href: string }[];
}

/** The way of a change through the platform, with how much of each part is as it should be. */
export function stations(overview: Overview): readonly StationView[] {
  const { sources, records, data } = overview;
  const outOfSync = records.total - records.synced;
  const note = (count: number, tone: Tone, text: string, href: string) =>
    count > 0 ? [{ tone, text: `${count} ${text}`, href }] : [];
  return [
    {
      id: 'git',
      title: 'Sources',
      href: '/sources',
      value: sources.synced,
      total: sources.total,
      unit: 'synced',
      tone: sources.attention > 0 ? 'bad' : sources.synced < sources.total ? 'busy' : 'ok',
      notes: note(sources.attention, 'bad', 'need attention', '/sources'),
    },
    {
      id: 'sync',
      title: 'Sync',
      href: '/deployments',
      value: records.synced,
      total: records.total,
      unit: 'records as in Git',
      tone: records.held > 0 ? 'hold' : outOfSync > 0 ? 'warn' : 'ok',
      notes: [
        ...note(records.held, 'hold', 'to confirm', '/deployments'),
        ...note(outOfSync - records.held, 'warn', 'out of sync', '/deployments?sync=OutOfSync'),
      ],
    },
    {
      id: 'health',
      title: 'Health',
      href: '/deployments',
      value: records.healthy,
      total: records.total,
      unit: 'workloads healthy',
      tone:
        records.degraded > 0
          ? 'bad'
          : records.progressing > 0
            ? 'busy'
            : records.healthy < records.total
              ? 'idle'
              : 'ok',
      notes: [
        ...note(records.degraded, 'bad', 'degraded', '/deployments?health=Degraded'),
        ...note(records.progressing, 'busy', 'progressing', '/deployments?health=Progressing'),
      ],
    },
    {
      id: 'data',
      title: 'Data',
      href: '/grid',
      value: data.shards_ready,
      total: data.shards_total,
      unit: 'shards ready',
      tone: data.shards_ready < data.shards_total ? 'warn' : 'ok',
      notes: note(data.shards_total - data.shards_ready, 'warn', 'not ready', '/grid'),
    },
  ];
}
