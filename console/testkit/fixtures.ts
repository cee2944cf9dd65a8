import type {
  AuditRecordView,
  ClusterView,
  DeploymentRecordDetail,
  GridView,
  PackageView,
  Plan,
  Source,
  SyncRun,
} from '@oaas/commons/client/pm';
import { agoOf } from './fixtures/ago.ts';
import { makeAudit } from './fixtures/audit.ts';
import { makeClusters } from './fixtures/clusters.ts';
import { makeCommits } from './fixtures/commits.ts';
import { makeGrid } from './fixtures/grid.ts';
import { makePackages } from './fixtures/packages.ts';
import { makeHeldPlan, makeRefusedPlan } from './fixtures/plans.ts';
import { makeRecords } from './fixtures/records.ts';
import { makeRuns } from './fixtures/runs.ts';
import { makeSources } from './fixtures/sources.ts';

/** Everything that the fixture PM knows. Mutable: actions change it. */
export interface Fixtures {
  sources: Source[];
  runs: SyncRun[];
  plans: Map<string, Plan>;
  packages: PackageView[];
  records: DeploymentRecordDetail[];
  clusters: ClusterView[];
  grids: Map<string, GridView>;
  audit: AuditRecordView[];
}

export function makeFixtures(now: number, fleet = 120): Fixtures {
  const ago = agoOf(now);
  const commits = makeCommits(ago);
  const records = makeRecords(commits, fleet, ago);
  const plan = makeHeldPlan(records, commits.newest, ago);
  const refusedPlan = makeRefusedPlan(commits.broken, ago);
  return {
    sources: makeSources(now, { commits, plan, refusedPlan, fleet }),
    runs: makeRuns(commits, plan, ago),
    plans: new Map([
      [plan.id, plan],
      [refusedPlan.id, refusedPlan],
    ]),
    packages: makePackages(records, commits.newest.id, ago),
    records,
    clusters: makeClusters(records, ago),
    grids: new Map(records.map((each) => [`${each.target_environment}/${each.id}`, makeGrid(each, now)])),
    audit: makeAudit(ago),
  };
}
