import {
  auditRecordSchema,
  clusterSchema,
  createPmClient,
  deploymentRecordDetailSchema,
  deploymentRecordSchema,
  gridSchema,
  overviewSchema,
  packageViewSchema,
  planSchema,
  platformEventSchema,
  sourceSchema,
  syncRunSchema,
  whoamiSchema,
} from '@oaas/commons/client/pm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startFixturePm, type FixturePm } from '../../../testkit/fixture-pm.ts';

let pm: FixturePm;
beforeAll(async () => {
  pm = await startFixturePm({ fleet: 40 });
});
afterAll(() => pm.close());
const client = () => createPmClient({ baseUrl: pm.url, token: pm.token });

describe('the fixture PM answers as the contract says', () => {
  it('in every list', async () => {
    z.array(sourceSchema).parse((await client().listSources()).items);
    z.array(syncRunSchema).parse((await client().listRuns('gitops')).items);
    z.array(packageViewSchema).parse((await client().listPackages()).items);
    z.array(deploymentRecordSchema).parse((await client().listRecords({ limit: 1000 })).items);
    z.array(clusterSchema).parse((await client().listClusters()).items);
    z.array(auditRecordSchema).parse((await client().listAudit()).items);
  });

  it('in every single answer', async () => {
    whoamiSchema.parse(await client().whoami());
    overviewSchema.parse(await client().overview());
    const source = sourceSchema.parse(await client().getSource('gitops'));
    planSchema.parse(await client().getPlan(source.plan_id ?? ''));
    planSchema.parse(await client().createPlan('gitops', { commit: source.applied_commit?.id ?? '' }));
    for (const record of pm.fixtures.records) {
      deploymentRecordDetailSchema.parse(await client().getRecord(record.id));
      gridSchema.parse(await client().getGrid(record.target_environment, record.id));
    }
  });

  it('page by page, without losing or repeating a row', async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<ReturnType<typeof client>['listRecords']>> = await client().listRecords({
        limit: 7,
        sort: '-package_name',
        ...(cursor === null ? {} : { cursor }),
      });
      seen.push(...page.items.map((record) => record.id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(new Set(seen).size).toBe(pm.fixtures.records.length);
    expect(seen).toHaveLength(pm.fixtures.records.length);
  });

  it('to a change, which is seen afterwards and told as an event', async () => {
    const response = await fetch(`${pm.url}/api/v1/events`, { headers: { authorization: `Bearer ${pm.token}` } });
    const reader = response.body!.getReader();
    await reader.read();
    await client().suspendSource('gitops', 'a test');
    const event = new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
    platformEventSchema.parse(JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? ''));
    expect((await client().getSource('gitops')).suspended?.reason).toBe('a test');
  });

  it('to a wrong confirmation with a refusal, to the right one by doing it', async () => {
    const held = pm.fixtures.records.find((record) => record.hold !== null)!;
    await expect(client().confirmRecord(held.id, 'something else')).rejects.toThrow('does not match');
    await client().confirmRecord(held.id, held.hold!.confirm);
    await expect(client().getRecord(held.id)).rejects.toThrow();
  });
});
