import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createPmClient } from '@oaas/commons/client/pm';
import { startSandbox } from '@oaas/e2e/sandbox/testing';
import { Repository } from '@oaas/e2e/support/repository';
import { childrenPerRecord, packageYaml } from './packages.ts';
import { childTypes, countOf, Follower, recordType, untilCount } from './observe.ts';
import { figuresOf, startMeter } from './meter.ts';
import { type Figure, memory, print, series, single } from './report.ts';
import { peakMemoryKiB, push, type Stand, startStand } from './stand.ts';

const parts = ['push', 'poll', 'bulk', 'pods', 'list'] as const;
type Part = (typeof parts)[number];
type Api = 'embedded' | 'real';

/**
 * From a push to a running class: what a user waits for. PM and CRM are the built programs as processes of their own; the Kubernetes API
 * is the embedded one and, where KUBEBUILDER_ASSETS names it, the real kube-apiserver with etcd.
 */
export async function runLoop(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      api: { type: 'string', default: 'both' },
      runs: { type: 'string', default: '20' },
      packages: { type: 'string', default: '1000' },
      list: { type: 'string', default: '10000' },
      only: { type: 'string', default: parts.join(',') },
    },
  });
  const wanted = new Set(values.only.split(','));
  const has = (part: Part): boolean => wanted.has(part);
  const runs = Number(values.runs);
  const apis: Api[] = values.api === 'both' ? ['embedded', 'real'] : [values.api === 'real' ? 'real' : 'embedded'];
  if (apis.includes('real') && process.env['KUBEBUILDER_ASSETS'] === undefined) {
    console.log('The real API server is left out: KUBEBUILDER_ASSETS is not set.');
    apis.splice(apis.indexOf('real'), 1);
  }
  console.log(`Node ${process.version}, ${process.platform}/${process.arch}`);
  for (const api of apis) {
    const figures: Figure[] = [];
    if (has('push')) figures.push(await pushes(api, true, runs));
    if (has('poll')) figures.push(await pushes(api, false, runs));
    if (has('bulk')) figures.push(...(await bulk(api, Number(values.packages))));
    if (figures.length > 0) print(`Commit to record, ${api} Kubernetes API`, figures);
  }
  if (has('pods')) print('Push to running pods, the sandbox', [await pods(runs)]);
  if (has('list')) print('PM', await list(Number(values.list)));
}

/** The poll interval of the sources here, in milliseconds. */
const pollIntervalMs = 1000;

async function pushes(api: Api, webhook: boolean, runs: number): Promise<Figure> {
  const stand = await startStand({ api, webhook, pollSeconds: pollIntervalMs / 1000 });
  const records = await Follower.open(stand.kubernetes, [recordType]);
  try {
    const times: number[] = [];
    // The first one creates the record and warms the programs up; it is not counted.
    for (let step = 0; step <= runs; step += 1) {
      const { commit, at } = await push(stand.clone, { 'one/package.yaml': packageYaml('one', step) });
      const seen = await records.when(
        (found) => [...found.values()].some((record) => commitOf(record) === commit),
        60_000,
      );
      if (step > 0) times.push(seen - at);
    }
    const name = webhook
      ? 'push -> record stored, by webhook'
      : `push -> record stored, by poll of ${pollIntervalMs} ms`;
    return series(name, times, webhook ? 1000 : 1000 + pollIntervalMs);
  } finally {
    records.stop();
    await stand.stop();
  }
}

async function bulk(api: Api, count: number): Promise<readonly Figure[]> {
  const stand = await startStand({ api, webhook: true });
  let records: Follower | undefined;
  try {
    const before = await countOf(stand.kubernetes, childTypes);
    const meter = await startMeter(stand);
    const files = Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`p${i}/package.yaml`, packageYaml(`p${i}`, 0)]),
    );
    const { at } = await push(stand.clone, files);
    const stored = await untilCount(stand.kubernetes, [recordType], count, 300_000);
    const applied = await untilCount(stand.kubernetes, childTypes, before + count * childrenPerRecord, 600_000);
    const work = await meter.read(count);
    // Every record has had its statuses written before a commit that changes nothing is measured.
    records = await Follower.open(stand.kubernetes, [recordType]);
    const quiet = await quietVersions(records);
    const settled = await meter.read(count);

    const empty = await push(stand.clone, { 'README.md': `Nothing that runs changes: ${Date.now()}\n` });
    const name = (await stand.pm.listSources()).items[0]?.name ?? '';
    let done = performance.now();
    for (;;) {
      const source = await stand.pm.getSource(name);
      done = performance.now();
      if (source.applied_commit?.id === empty.commit) break;
      if (done - empty.at > 60_000) throw new Error(`the empty commit is not applied: ${source.message}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const writes = versions(records).filter((version) => !quiet.has(version)).length;
    return [
      single(`${count} packages in one commit: all records stored`, stored - at, 8000),
      single(`${count} packages in one commit: all children applied`, applied - at, 25_000),
      memory('PM, peak memory', peakMemoryKiB(stand.pid('pm')), 300),
      memory('CRM, peak memory', peakMemoryKiB(stand.pid('crm-cloud')), 300),
      ...figuresOf('until all children are applied', work),
      ...figuresOf('until all statuses are written', settled),
      single(`no-change sync of ${count} packages`, done - empty.at, 1000),
      { name: 'writes of records by the no-change sync', value: String(writes), bar: '0', met: writes === 0 },
    ];
  } finally {
    records?.stop();
    await stand.stop();
  }
}

function versions(follower: Follower): readonly string[] {
  return [...follower.objects].map(([key, object]) => `${key}@${object.metadata.resourceVersion ?? ''}`);
}

/** The records' versions once they have not changed for three seconds. */
async function quietVersions(follower: Follower): Promise<ReadonlySet<string>> {
  let last = versions(follower).join();
  let since = performance.now();
  while (performance.now() - since < 3000) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const now = versions(follower).join();
    if (now !== last) since = performance.now();
    last = now;
  }
  return new Set(versions(follower));
}

async function pods(runs: number): Promise<Figure> {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const sandbox = await startSandbox({ dir: join(root, '.sandbox-bench'), portBase: 22_400, fresh: true });
  const pm = createPmClient({ baseUrl: sandbox.ready.pm.url, token: sandbox.ready.pm.token });
  const repository = await Repository.clone(sandbox.ready.git.url);
  try {
    const healthy = async (name: string): Promise<number> => {
      const deadline = performance.now() + 120_000;
      while (performance.now() < deadline) {
        const { items } = await pm.listRecords({ filter: { package_name: name } });
        if (items.length > 0 && items.every((record) => record.axes.health.status === 'Healthy'))
          return performance.now();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`${name} did not become healthy`);
    };
    for (const name of ['hello', 'counter', 'chat']) await healthy(name);
    const times: number[] = [];
    for (let i = 0; i < runs; i += 1) {
      repository.write(`b${i}/package.yaml`, packageYaml(`b${i}`, i));
      await repository.git('add', '--all');
      await repository.git('commit', '--quiet', '-m', 'Add one');
      const at = performance.now();
      await repository.git('push', '--quiet');
      times.push((await healthy(`b${i}`)) - at);
      // So that each run finds as many pods as the one before.
      await repository.git('rm', '--quiet', '-r', `b${i}`);
      await repository.push('Remove it');
      while ((await pm.listRecords({ filter: { package_name: `b${i}` } })).total > 0) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    return series('push -> pods ready (a new class: grid node and function)', times);
  } finally {
    repository.remove();
    await sandbox.stop();
  }
}

async function list(count: number): Promise<readonly Figure[]> {
  const stand = await startStand({ api: 'none', webhook: true });
  try {
    const files = Object.fromEntries(
      Array.from({ length: count / 2 }, (_, i) => [`p${i}/package.yaml`, packageYaml(`p${i}`, 0, ['cloud', 'edge'])]),
    );
    await push(stand.clone, files);
    const deadline = performance.now() + 300_000;
    while ((await stand.pm.listRecords({ limit: 1 })).total < count) {
      if (performance.now() > deadline) throw new Error('PM does not list all records');
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    // The apply loop meets clusters that are not there; its retries have thinned out by now.
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const times = async (query: Parameters<Stand['pm']['listRecords']>[0]): Promise<number[]> => {
      const taken: number[] = [];
      for (let i = 0; i < 21; i += 1) {
        const at = performance.now();
        await stand.pm.listRecords(query);
        if (i > 0) taken.push(performance.now() - at);
      }
      return taken;
    };
    return [
      series(`list of ${count} deployments, first 50`, await times({ limit: 50 }), 50),
      series(
        `list of ${count} deployments, 50 by name descending`,
        await times({ limit: 50, sort: '-package_name' }),
        50,
      ),
      series(`list of ${count} deployments, 50 that match a text`, await times({ limit: 50, q: 'p77' }), 50),
      memory(`PM with ${count} deployments, peak memory`, peakMemoryKiB(stand.pid('pm'))),
    ];
  } finally {
    await stand.stop();
  }
}

function commitOf(record: { readonly [field: string]: unknown }): string | undefined {
  const spec = record['spec'] as { readonly source?: { readonly commit?: string } } | undefined;
  return spec?.source?.commit;
}
