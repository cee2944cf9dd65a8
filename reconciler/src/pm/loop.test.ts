import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { createPmClient, type PmClient, type SourceInput, sourceInputSchema } from '@oaas/commons/client/pm';
import { oaasError } from '@oaas/commons/errors';
import { HealthRegistry } from '@oaas/commons/lifecycle';
import { createLogger, createMetrics } from '@oaas/commons/telemetry';
import { eventually, tempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { type FakeCrm, startFakeCrm } from '../../testkit/crm/index.ts';
import { type GitServer, startGitServer } from '../../testkit/git/index.ts';
import { createMemoryStore, openEmbeddedStore, type Store } from '../store/index.ts';
import { createRestServer, PackageManager } from './index.ts';

const examples = join(import.meta.dirname, '../../../gitops-examples');
const example = (path: string) => readFileSync(join(examples, path), 'utf8');
const secret = 'a secret of the webhook';
const adminToken = 'the token of the administrator';
const time = { clock: systemClock, timers: systemTimers, random: systemRandom };

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function folder(): Promise<string> {
  const dir = await tempDir();
  cleanups.push(() => dir.remove());
  return dir.path;
}

interface Running {
  readonly pm: PackageManager;
  readonly client: PmClient;
  readonly rest: FastifyInstance;
  readonly url: string;
  stop(): Promise<void>;
}

async function startPm(options: {
  store: Store;
  clusters: readonly FakeCrm[];
  cacheDir: string;
  port?: number;
}): Promise<Running> {
  const logger = createLogger({ service: 'pm', level: 'fatal' });
  const names = ['cloud', 'edge'];
  const clusters = options.clusters.map((crm, index) => ({
    name: names[index] ?? '',
    url: crm.url,
    token: 'crm token',
  }));
  const pm = await PackageManager.create({
    store: options.store,
    clusters,
    cacheDir: options.cacheDir,
    metrics: createMetrics({ service: 'pm' }),
    logger,
    ...time,
  });
  const auth = { tokens: [{ name: 'admin', role: 'admin' as const, token: adminToken.replaceAll(' ', '-') }] };
  const rest = await createRestServer({
    pm,
    auth,
    health: new HealthRegistry({ timers: systemTimers }),
    logger,
    version: 'test',
    ...time,
  });
  pm.start();
  const url = await rest.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  const client = createPmClient({ baseUrl: url, token: adminToken.replaceAll(' ', '-') });
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    await rest.close();
    await pm.stop();
  };
  cleanups.push(stop);
  return { pm, client, rest, url, stop };
}

interface Stage extends Running {
  readonly git: GitServer;
  readonly cloud: FakeCrm;
  readonly edge: FakeCrm;
}

/** One repository with the counter example, two clusters, and PM that follows the one into the other. */
async function stage(
  options: { files?: Record<string, string>; source?: Partial<SourceInput>; store?: Store } = {},
): Promise<Stage> {
  const cloud = await startFakeCrm({ name: 'cloud', token: 'crm token' });
  const edge = await startFakeCrm({ name: 'edge', token: 'crm token' });
  cleanups.push(
    () => cloud.stop(),
    () => edge.stop(),
  );
  const store = options.store ?? createMemoryStore();
  const running = await startPm({ store, clusters: [cloud, edge], cacheDir: await folder() });
  const git = await startGitServer({
    dir: await folder(),
    repositories: [
      {
        name: 'shop',
        files: options.files ?? {
          'counter/package.yaml': example('counter/package.yaml'),
          'counter/edge.yaml': example('counter/edge.yaml'),
        },
      },
    ],
    onPush: { url: `${running.url}/api/v1/webhooks/{repository}`, secret },
  });
  cleanups.push(() => git.stop());
  await running.client.putSource(
    sourceInputSchema.parse({
      name: 'shop',
      url: git.repositoryUrl('shop'),
      interval_seconds: 3600,
      webhook_secret: secret,
      ...options.source,
    }),
  );
  return { ...running, git, cloud, edge };
}

async function push(stage: Stage, files: Record<string, string | null>, message = 'Change'): Promise<string> {
  const commit = await stage.git.commit('shop', { files, message });
  await stage.client.syncSource('shop');
  return commit;
}

const phaseIs = (client: PmClient, phase: string, commit?: string) =>
  eventually(async () => {
    const source = await client.getSource('shop');
    return source.phase === phase && (commit === undefined || source.attempted_commit?.id === commit) ? source : false;
  });
const synced = (client: PmClient, commit?: string) => phaseIs(client, 'Synced', commit);

describe('a commit', () => {
  it('becomes a record in every cluster that it targets, each as its overlay says', async () => {
    const { client, cloud, edge } = await stage();
    const source = await synced(client);
    expect(source).toMatchObject({
      packages: 1,
      plan_summary: { create: 2, hold: 0, refused: 0 },
      applied_commit: { message: 'Begin' },
    });
    const [inCloud] = cloud.units.values();
    const [inEdge] = edge.units.values();
    expect(inCloud).toMatchObject({
      packageName: 'counter',
      classKey: 'Counter',
      odgmConfig: { partitionCount: 4 },
      functions: [{ config: { STEP: '1' } }],
    });
    expect(inEdge).toMatchObject({ odgmConfig: { partitionCount: 1 }, functions: [{ config: { STEP: '10' } }] });
    expect(inCloud?.source).toMatchObject({
      commit: source.applied_commit?.id,
      path: 'counter/package.yaml',
      source: 'shop',
    });
    const records = await client.listRecords({ sort: 'environment' });
    expect(records.items.map((each) => [each.target_environment, each.axes.sync.status])).toEqual([
      ['cloud', 'Synced'],
      ['edge', 'Synced'],
    ]);
    const [run] = (await client.listRuns('shop')).items;
    expect(run).toMatchObject({
      phase: 'Succeeded',
      clusters: [
        { environment: 'cloud', total: 1, applied: 1, phase: 'Applied' },
        { environment: 'edge', applied: 1 },
      ],
    });
  });

  it('that changes nothing costs the clusters no call', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    const before = stage_.cloud.calls.length + stage_.edge.calls.length;
    const commit = await push(stage_, { 'README.md': 'Hello' });
    const source = await synced(stage_.client, commit);
    expect(source.plan_summary).toMatchObject({ unchanged: 2, create: 0, update: 0 });
    expect(stage_.cloud.calls.length + stage_.edge.calls.length).toBe(before);
  });

  it('with one broken document changes nothing, and says which line is wrong', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    const before = [...stage_.cloud.calls];
    const commit = await push(stage_, {
      'counter/package.yaml': example('counter/package.yaml').replace('STEP: 1', 'STEP: 5'),
      'broken.yaml': example('refused/unknown-field/package.yaml'),
    });
    const source = await phaseIs(stage_.client, 'Refused', commit);
    expect(source.message).toMatch(/^broken\.yaml:\d+:\d+: unknown field "target_env"/);
    expect(source.applied_commit?.id).not.toBe(commit);
    const plan = await stage_.client.getPlan(source.plan_id ?? '');
    expect(plan).toMatchObject({ verdict: 'refused', units: [] });
    expect(plan.documents.find((each) => each.path === 'broken.yaml')?.problems[0]).toMatchObject({
      remedy: 'Did you mean "target_envs"?',
    });
    expect(stage_.cloud.calls).toEqual(before);
    const healed = await push(stage_, { 'broken.yaml': null });
    await synced(stage_.client, healed);
    expect([...stage_.cloud.units.values()][0]?.functions[0]?.config).toEqual({ STEP: '5' });
  });

  it('is seen at once when the forge calls the webhook', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    const commit = await stage_.git.commit('shop', {
      files: { 'counter/package.yaml': example('counter/package.yaml').replace('STEP: 1', 'STEP: 7') },
    });
    const body = JSON.stringify({ ref: 'refs/heads/main', after: commit });
    const { createHmac } = await import('node:crypto');
    const response = await fetch(`${stage_.url}/api/v1/webhooks/shop`, {
      method: 'POST',
      body,
      headers: {
        'x-github-event': 'push',
        'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
      },
    });
    expect(response.status).toBe(202);
    await synced(stage_.client, commit);
    const [run] = (await stage_.client.listRuns('shop')).items;
    expect(run).toMatchObject({ trigger: 'webhook', phase: 'Succeeded' });
  });

  it('that is newer pre-empts one that a cluster keeps refusing for now', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    stage_.edge.refuse(() => oaasError('Unavailable', 'not now'));
    const stuck = await push(stage_, {
      'counter/package.yaml': example('counter/package.yaml').replace('STEP: 1', 'STEP: 2'),
      'counter/edge.yaml': example('counter/edge.yaml').replace('STEP: 10', 'STEP: 20'),
    });
    await phaseIs(stage_.client, 'Applying', stuck);
    const newest = await push(stage_, {
      'counter/edge.yaml': example('counter/edge.yaml').replace('STEP: 10', 'STEP: 30'),
    });
    await phaseIs(stage_.client, 'Applying', newest);
    stage_.edge.refuse(() => undefined);
    await synced(stage_.client, newest);
    expect([...stage_.edge.units.values()][0]?.functions[0]?.config).toEqual({ STEP: '30' });
    const runs = (await stage_.client.listRuns('shop')).items;
    expect(runs.map((run) => run.phase)).toEqual(['Succeeded', 'Superseded', 'Succeeded']);
  });
});

describe('what would lose data', () => {
  const onlyEdge = example('counter/package.yaml').replace('[cloud, edge]', '[edge]');
  const cloudId = (stage_: Stage) => [...stage_.cloud.records.keys()][0] ?? '';

  it('is kept by the policy keep, though it has left the repository', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    const commit = await push(stage_, { 'counter/package.yaml': onlyEdge });
    const source = await synced(stage_.client, commit);
    expect(source.plan_summary).toMatchObject({ keep: 1, prune: 0 });
    const record = await stage_.client.getRecord(cloudId(stage_));
    expect(record).toMatchObject({ desired_digest: null, desired: null, hold: null });
    expect(stage_.cloud.calls.filter((call) => call.method === 'delete')).toEqual([]);
  });

  it('is pruned by the policy delete while its shards are empty', async () => {
    const stage_ = await stage({ source: { prune: 'delete' } });
    await synced(stage_.client);
    const id = cloudId(stage_);
    const commit = await push(stage_, { 'counter/package.yaml': onlyEdge });
    const source = await synced(stage_.client, commit);
    expect(source.plan_summary).toMatchObject({ prune: 1, hold: 0 });
    expect(stage_.cloud.records.size).toBe(0);
    expect(stage_.cloud.calls.at(-1)).toEqual({ method: 'delete', id, deleteData: false });
    await eventually(async () => (await stage_.client.listRecords()).total === 1);
  });

  it('is held while its shards hold objects, until somebody confirms with the text that is asked for', async () => {
    const stage_ = await stage({ source: { prune: 'delete' } });
    await synced(stage_.client);
    const id = cloudId(stage_);
    stage_.cloud.setObjects(id, 42);
    const commit = await push(stage_, { 'counter/package.yaml': onlyEdge });
    const source = await synced(stage_.client, commit);
    expect(source.plan_summary).toMatchObject({ prune: 0, hold: 1 });
    const plan = await stage_.client.getPlan(source.plan_id ?? '');
    expect(plan.units.find((unit) => unit.action === 'hold')).toMatchObject({
      unit_id: id,
      data: { objects: 42, shards_removed: 4 },
    });
    const { hold } = await stage_.client.getRecord(id);
    expect(hold?.reason).toContain('42 objects');
    await expect(stage_.client.confirmRecord(id, 'yes')).rejects.toMatchObject({
      problem: { code: 'FailedPrecondition' },
    });
    expect(stage_.cloud.records.size).toBe(1);
    await stage_.client.confirmRecord(id, hold?.confirm ?? '');
    await eventually(() => stage_.cloud.records.size === 0);
  });

  it('is held where the grid cannot be asked, because nobody knows what it holds', async () => {
    const stage_ = await stage({ source: { prune: 'delete' } });
    await synced(stage_.client);
    stage_.cloud.setGridReachable(false);
    const commit = await push(stage_, { 'counter/package.yaml': onlyEdge });
    expect((await synced(stage_.client, commit)).plan_summary).toMatchObject({ prune: 0, hold: 1 });
    expect(stage_.cloud.records.size).toBe(1);
  });

  it('is held when the repository is suddenly empty, and comes back unharmed with the next commit', async () => {
    const stage_ = await stage({ source: { prune: 'delete' } });
    await synced(stage_.client);
    const emptied = await push(stage_, { 'counter/package.yaml': null, 'counter/edge.yaml': null });
    expect((await synced(stage_.client, emptied)).plan_summary).toMatchObject({ prune: 0, hold: 2 });
    const restored = await push(stage_, {
      'counter/package.yaml': example('counter/package.yaml'),
      'counter/edge.yaml': example('counter/edge.yaml'),
    });
    expect((await synced(stage_.client, restored)).plan_summary).toMatchObject({ unchanged: 2, hold: 0 });
    expect((await stage_.client.listRecords()).items.every((record) => record.hold === null)).toBe(true);
  });

  it('is held when the layout of a grid with objects changes; the old state is kept until it is confirmed', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    const id = cloudId(stage_);
    stage_.cloud.setObjects(id, 7);
    const commit = await push(stage_, {
      'counter/package.yaml': example('counter/package.yaml').replace('partition_count: 4', 'partition_count: 8'),
    });
    const source = await synced(stage_.client, commit);
    expect(source.plan_summary).toMatchObject({ hold: 1, update: 0, unchanged: 1 });
    expect(stage_.cloud.units.get(id)?.odgmConfig?.partitionCount).toBe(4);
    const { hold } = await stage_.client.getRecord(id);
    expect(hold?.reason).toContain('partitions 4 → 8');
    await stage_.client.confirmRecord(id, hold?.confirm ?? '');
    await eventually(() => stage_.cloud.units.get(id)?.odgmConfig?.partitionCount === 8);
  });
});

describe('a cluster', () => {
  it('that loses or changes a record by hand gets it back', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    const [id = ''] = stage_.cloud.records.keys();
    stage_.cloud.remove(id);
    await eventually(() => stage_.cloud.records.has(id));
    await eventually(async () => (await stage_.client.getRecord(id)).axes.sync.status === 'Synced');
    stage_.cloud.markReady(id);
    await eventually(async () => (await stage_.client.getRecord(id)).axes.health.status === 'Healthy');
    const deploys = stage_.cloud.calls.length;
    stage_.cloud.tamper(id);
    await eventually(() => stage_.cloud.calls.length === deploys + 1);
  });

  it('that is away gets the newest commit when it comes back, and says so meanwhile', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    await stage_.edge.stop();
    await eventually(
      async () =>
        (await stage_.client.listClusters()).items.find((each) => each.name === 'edge')?.connection !== 'Connected',
    );
    const commit = await push(stage_, {
      'counter/edge.yaml': example('counter/edge.yaml').replace('STEP: 10', 'STEP: 11'),
    });
    await phaseIs(stage_.client, 'Applying', commit);
    const run = await eventually(
      async () => (await stage_.client.listRuns('shop')).items.find((each) => each.commit.id === commit) ?? false,
    );
    expect(run.clusters.find((each) => each.environment === 'edge')?.phase).toBe('Unreachable');
    await stage_.edge.restart();
    await synced(stage_.client, commit);
    expect([...stage_.edge.units.values()][0]?.functions[0]?.config).toEqual({ STEP: '11' });
  });

  it('that refuses a unit for good makes the run fail, with its reason', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    stage_.edge.refuse(() => oaasError('InvalidArgument', 'the template is unknown'));
    const commit = await push(stage_, {
      'counter/edge.yaml': example('counter/edge.yaml').replace('STEP: 10', 'STEP: 12'),
    });
    const source = await phaseIs(stage_.client, 'Failed', commit);
    expect(source.message).toContain('the template is unknown');
    const edge = (await stage_.client.listRecords({ filter: { environment: 'edge' } })).items[0];
    expect(edge?.axes.sync).toMatchObject({ status: 'Failed', message: 'the template is unknown' });
  });
});

describe('a source', () => {
  it('is stalled while its repository is away, and comes back by itself', async () => {
    const stage_ = await stage({ source: { interval_seconds: 1 } });
    await synced(stage_.client);
    await stage_.git.stop();
    const stalled = await phaseIs(stage_.client, 'Stalled');
    expect(stalled.conditions.map((each) => [each.type, each.status, each.reason])).toEqual([
      ['Ready', 'False', 'GitOperationFailed'],
      ['Stalled', 'True', 'GitOperationFailed'],
    ]);
    const again = await startGitServer({
      dir: join(stage_.git.directory('shop'), '..'),
      port: stage_.git.port,
      repositories: [{ name: 'shop' }],
    });
    cleanups.push(() => again.stop());
    const source = await synced(stage_.client);
    expect(source.conditions).toMatchObject([{ type: 'Ready', status: 'True', reason: 'ReconciliationSucceeded' }]);
  });

  it('goes back to an older commit and stays there until it is resumed', async () => {
    const stage_ = await stage();
    const first = await synced(stage_.client);
    const newest = await push(stage_, {
      'counter/package.yaml': example('counter/package.yaml').replace('STEP: 1', 'STEP: 3'),
    });
    await synced(stage_.client, newest);
    const pinned = await stage_.client.rollbackSource('shop', first.applied_commit?.id.slice(0, 10) ?? '');
    expect(pinned.pinned).toMatchObject({ commit: first.applied_commit?.id, by: 'admin' });
    await synced(stage_.client, first.applied_commit?.id);
    expect([...stage_.cloud.units.values()][0]?.functions[0]?.config).toEqual({ STEP: '1' });
    await stage_.client.syncSource('shop');
    await stage_.client.resumeSource('shop');
    await synced(stage_.client, newest);
    const runs = (await stage_.client.listRuns('shop')).items;
    expect(runs.map((run) => run.trigger)).toEqual(['resume', 'rollback', 'manual', 'startup']);
  });

  it('that is suspended sees commits and applies none', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    await stage_.client.suspendSource('shop', 'freeze');
    await expect(stage_.client.syncSource('shop')).rejects.toMatchObject({ problem: { code: 'FailedPrecondition' } });
    const commit = await stage_.git.commit('shop', {
      files: { 'counter/package.yaml': example('counter/package.yaml').replace('STEP: 1', 'STEP: 4') },
    });
    stage_.pm.controller('shop').notified();
    await eventually(async () => (await stage_.client.getSource('shop')).observed_commit?.id === commit);
    expect((await stage_.client.getSource('shop')).phase).toBe('Suspended');
    await stage_.client.resumeSource('shop');
    await synced(stage_.client, commit);
  });

  it('plans a branch without applying it', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    const main = (await stage_.git.refs('shop')).get('refs/heads/main') ?? '';
    const deploys = stage_.cloud.calls.length;
    await stage_.git.commit('shop', {
      branch: 'try',
      from: main,
      files: { 'counter/package.yaml': example('counter/package.yaml').replace('STEP: 1', 'STEP: 9') },
    });
    const plan = await stage_.client.createPlan('shop', { branch: 'try' });
    expect(plan).toMatchObject({ verdict: 'changes', summary: { update: 1, unchanged: 1 } });
    const change = plan.units.find((unit) => unit.action === 'update');
    expect(change?.changes).toEqual([{ path: 'functions[counter].config.STEP', before: '1', after: '9' }]);
    expect((await stage_.client.getSource('shop')).attempted_commit?.id).toBe(main);
    expect(stage_.cloud.calls.length).toBe(deploys);
  });

  it('that is deleted leaves what it must, and frees its packages', async () => {
    const stage_ = await stage({ source: { prune: 'delete' } });
    await synced(stage_.client);
    const [id = ''] = stage_.cloud.records.keys();
    stage_.cloud.setObjects(id, 1);
    await expect(stage_.client.deleteSource('shop')).rejects.toMatchObject({ problem: { code: 'PruneBlocked' } });
    stage_.cloud.setObjects(id, 0);
    await stage_.client.deleteSource('shop');
    await eventually(() => stage_.cloud.records.size + stage_.edge.records.size === 0);
    await eventually(async () => (await stage_.client.listRecords()).total === 0);
    expect((await stage_.client.listPackages()).total).toBe(0);
  });

  it('cannot take a package that another one owns', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    await stage_.client.putSource(sourceInputSchema.parse({ name: 'other', url: stage_.git.repositoryUrl('shop') }));
    const refused = await eventually(async () => {
      const source = await stage_.client.getSource('other');
      return source.phase === 'Refused' ? source : false;
    });
    expect(refused.message).toContain('belongs to the source "shop"');
  });
});

it('PM continues after a restart with what it knew, and calls no cluster for what is as wanted', async () => {
  const file = join(await folder(), 'pm.db');
  const store = openEmbeddedStore({ file });
  const stage_ = await stage({ store });
  const before = await synced(stage_.client);
  await stage_.client.suspendSource('shop', 'later');
  await stage_.stop();
  await store.close();
  const calls = stage_.cloud.calls.length;
  const reopened = openEmbeddedStore({ file });
  cleanups.push(() => reopened.close());
  const again = await startPm({ store: reopened, clusters: [stage_.cloud, stage_.edge], cacheDir: await folder() });
  expect(await again.client.getSource('shop')).toMatchObject({
    phase: 'Suspended',
    applied_commit: { id: before.applied_commit?.id },
    packages: 1,
  });
  await again.client.resumeSource('shop');
  await eventually(async () => {
    const runs = (await again.client.listRuns('shop')).items;
    expect(runs.map((run) => [run.trigger, run.phase])).toEqual([
      ['resume', 'Succeeded'],
      ['startup', 'Succeeded'],
    ]);
  });
  await eventually(async () =>
    (await again.client.listRecords()).items.every((each) => each.axes.sync.status === 'Synced'),
  );
  expect(stage_.cloud.calls.length).toBe(calls);
  expect((await again.client.listAudit()).items.map((each) => each.action)).toContain('source.suspend');
  await again.stop();
});
