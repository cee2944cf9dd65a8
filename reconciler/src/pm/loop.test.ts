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

async function startPm(options: { store: Store; clusters: readonly FakeCrm[]; cacheDir: string; port?: number }): Promise<Running> {
  const logger = createLogger({ service: 'pm', level: 'fatal' as never });
  const names = ['cloud', 'edge'];
  const clusters = options.clusters.map((crm, index) => ({ name: names[index] ?? '', url: crm.url, token: 'crm token' }));
  const pm = await PackageManager.create({ store: options.store, clusters, cacheDir: options.cacheDir, metrics: createMetrics({ service: 'pm' }), logger, ...time });
  const auth = { tokens: [{ name: 'admin', role: 'admin' as const, token: adminToken.replaceAll(' ', '-') }] };
  const rest = await createRestServer({ pm, auth, health: new HealthRegistry({ timers: systemTimers }), logger, version: 'test', ...time });
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
async function stage(options: { files?: Record<string, string>; source?: Partial<SourceInput>; store?: Store } = {}): Promise<Stage> {
  const cloud = await startFakeCrm({ name: 'cloud', token: 'crm token' });
  const edge = await startFakeCrm({ name: 'edge', token: 'crm token' });
  cleanups.push(() => cloud.stop(), () => edge.stop());
  const store = options.store ?? createMemoryStore();
  const running = await startPm({ store, clusters: [cloud, edge], cacheDir: await folder() });
  const git = await startGitServer({
    dir: await folder(),
    repositories: [{ name: 'shop', files: options.files ?? { 'counter/package.yaml': example('counter/package.yaml'), 'counter/edge.yaml': example('counter/edge.yaml') } }],
    onPush: { url: `${running.url}/api/v1/webhooks/{repository}`, secret },
  });
  cleanups.push(() => git.stop());
  await running.client.putSource(sourceInputSchema.parse({ name: 'shop', url: git.repositoryUrl('shop'), interval_seconds: 3600, webhook_secret: secret, ...options.source }));
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
    expect(source).toMatchObject({ packages: 1, plan_summary: { create: 2, hold: 0, refused: 0 }, applied_commit: { message: 'Begin' } });
    const [inCloud] = cloud.units.values();
    const [inEdge] = edge.units.values();
    expect(inCloud).toMatchObject({ packageName: 'counter', classKey: 'Counter', odgmConfig: { partitionCount: 4 }, functions: [{ config: { STEP: '1' } }] });
    expect(inEdge).toMatchObject({ odgmConfig: { partitionCount: 1 }, functions: [{ config: { STEP: '10' } }] });
    expect(inCloud?.source).toMatchObject({ commit: source.applied_commit?.id, path: 'counter/package.yaml', source: 'shop' });
    const records = await client.listRecords({ sort: 'environment' });
    expect(records.items.map((each) => [each.target_environment, each.axes.sync.status])).toEqual([['cloud', 'Synced'], ['edge', 'Synced']]);
    const [run] = (await client.listRuns('shop')).items;
    expect(run).toMatchObject({ phase: 'Succeeded', clusters: [{ environment: 'cloud', total: 1, applied: 1, phase: 'Applied' }, { environment: 'edge', applied: 1 }] });
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
    expect(plan.documents.find((each) => each.path === 'broken.yaml')?.problems[0]).toMatchObject({ remedy: 'Did you mean "target_envs"?' });
    expect(stage_.cloud.calls).toEqual(before);
    const healed = await push(stage_, { 'broken.yaml': null });
    await synced(stage_.client, healed);
    expect([...stage_.cloud.units.values()][0]?.functions[0]?.config).toEqual({ STEP: '5' });
  });

  it('is seen at once when the forge calls the webhook', async () => {
    const stage_ = await stage();
    await synced(stage_.client);
    const commit = await stage_.git.commit('shop', { files: { 'counter/package.yaml': example('counter/package.yaml').replace('STEP: 1', 'STEP: 7') } });
    const body = JSON.stringify({ ref: 'refs/heads/main', after: commit });
    const { createHmac } = await import('node:crypto');
    const response = await fetch(`${stage_.url}/api/v1/webhooks/shop`, {
      method: 'POST',
      body,
      headers: { 'x-github-event': 'push', 'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}` },
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
    const stuck = await push(stage_, { 'counter/package.yaml': example('counter/package.yaml').replace('STEP: 1', 'STEP: 2'), 'counter/edge.yaml': example('counter/edge.yaml').replace('STEP: 10', 'STEP: 20') });
    await phaseIs(stage_.client, 'Applying', stuck);
    const newest = await push(stage_, { 'counter/edge.yaml': example('counter/edge.yaml').replace('STEP: 10', 'STEP: 30') });
    await phaseIs(stage_.client, 'Applying', newest);
    stage_.edge.refuse(() => undefined);
    await synced(stage_.client, newest);
    expect([...stage_.edge.units.values()][0]?.functions[0]?.config).toEqual({ STEP: '30' });
    const runs = (await stage_.client.listRuns('shop')).items;
    expect(runs.map((run) => run.phase)).toEqual(['Succeeded', 'Superseded', 'Succeeded']);
  });
});
