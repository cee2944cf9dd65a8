import type { Overview } from '@oaas/commons/client/pm';
import type { Tone } from '../../ui/tone.ts';

interface Part {
  readonly tone: Tone;
  readonly value: number;
  readonly word: string;
  /** Where those are listed. */
  readonly href: string;
}

export interface StationView {
  readonly id: 'git' | 'sync' | 'health' | 'data';
  readonly title: string;
  readonly href: string;
  readonly total: number;
  readonly unit: string;
  /** What is as it should be. */
  readonly good: number;
  /** The rest by kind; together with `good` it makes up the total. */
  readonly rest: readonly Part[];
}

/** The way of a change through the platform, with how much of each part is as it should be. */
export function stations(overview: Overview): readonly StationView[] {
  const { sources, records, data } = overview;
  const health = records.healthy + records.degraded + records.progressing;
  return [
    {
      id: 'git',
      title: 'Sources',
      href: '/sources',
      total: sources.total,
      unit: 'synced',
      good: sources.synced,
      rest: parts([
        { tone: 'bad', value: sources.attention, word: 'need attention', href: '/sources' },
        {
          tone: 'idle',
          value: sources.total - sources.synced - sources.attention,
          word: 'under way or paused',
          href: '/sources',
        },
      ]),
    },
    {
      id: 'sync',
      title: 'Sync',
      href: '/deployments?sort=sync',
      total: records.total,
      unit: 'records as in Git',
      good: records.synced,
      rest: parts([
        { tone: 'hold', value: records.held, word: 'to confirm', href: '/deployments?held=true' },
        {
          tone: 'warn',
          value: records.total - records.synced - records.held,
          word: 'not in sync',
          href: '/deployments?sort=sync',
        },
      ]),
    },
    {
      id: 'health',
      title: 'Health',
      href: '/deployments?sort=health',
      total: records.total,
      unit: 'workloads healthy',
      good: records.healthy,
      rest: parts([
        { tone: 'bad', value: records.degraded, word: 'degraded', href: '/deployments?health=Degraded' },
        { tone: 'busy', value: records.progressing, word: 'progressing', href: '/deployments?health=Progressing' },
        { tone: 'idle', value: records.total - health, word: 'unknown', href: '/deployments?health=Unknown' },
      ]),
    },
    {
      id: 'data',
      title: 'Data',
      href: '/grid',
      total: data.shards_total,
      unit: 'shards ready',
      good: data.shards_ready,
      rest: parts([
        { tone: 'warn', value: data.shards_total - data.shards_ready, word: 'not ready', href: '/grid?data=Degraded' },
      ]),
    },
  ];
}

/** Without what is nothing; a count that the summary's parts do not bear out is not shown as less than nothing. */
function parts(list: readonly Part[]): readonly Part[] {
  return list.filter((part) => part.value > 0);
}
