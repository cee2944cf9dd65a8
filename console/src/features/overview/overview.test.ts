import type { Overview } from '@oaas/commons/client/pm';
import { describe, expect, it } from 'vitest';
import { stations } from './overview.ts';

const overview = {
  sources: { total: 4, synced: 2, attention: 1 },
  records: { total: 10, synced: 7, healthy: 6, progressing: 1, degraded: 1, held: 1 },
  data: { objects: 0, bytes: 0, shards_ready: 8, shards_total: 8 },
} as unknown as Overview;

describe('the stations of the overview', () => {
  it('come in the order in which a change passes them', () => {
    expect(stations(overview).map((station) => station.id)).toEqual(['git', 'sync', 'health', 'data']);
  });

  it('account for every record: what is good and the rest make up the total', () => {
    for (const { good, rest, total } of stations(overview)) {
      expect(good + rest.reduce((sum, part) => sum + part.value, 0)).toBe(total);
    }
  });

  it('name nothing that is zero', () => {
    expect(stations(overview)[3]?.rest).toEqual([]);
  });
});
