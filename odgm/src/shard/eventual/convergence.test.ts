import { describe, expect, it } from 'vitest';
import { storm } from '../../../testkit/eventual-storm.ts';

const seeds = Number(process.env['EVENTUAL_SEEDS'] ?? 60);

describe('replicas that merge', () => {
  it(`end alike, lose nothing that was acknowledged and bring nothing back, in ${String(seeds)} storms`, async () => {
    let deleted = 0;
    let reaped = 0;
    let replaced = 0;
    let forced = 0;
    let named = 0;
    let expiring = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const report = await storm(seed);
      deleted += report.deleted;
      reaped += report.reaped;
      replaced += report.replaced;
      forced += report.forced;
      named += report.named;
      expiring += report.expiring;
    }
    expect(deleted).toBeGreaterThan(seeds);
    expect(reaped).toBeGreaterThan(seeds);
    expect(replaced).toBeGreaterThan(seeds / 2);
    expect(forced).toBeGreaterThan(0);
    expect(named).toBeGreaterThan(seeds);
    expect(expiring).toBeGreaterThan(seeds);
  }, 120_000);
});
