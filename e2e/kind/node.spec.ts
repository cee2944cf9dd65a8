// What only a real node shows: pods that its scheduler places and its kubelet runs, and a Service that its kernel serves.
import { systemClock, systemTimers } from '@oaas/commons/time/system';
import { createKubernetesClient, kinds, type KubernetesClient, type KubeObject } from '@oaas/reconciler/kubernetes';
import { type DeploymentRecord, findCondition } from '@oaas/reconciler/record';
import { eventually } from '../support/eventually.ts';
import { openGrid } from '../support/grid.ts';
import { expect, type Platform, realContext, test as base } from '../support/platform.ts';
import { recordType } from './namespace.ts';

interface Pod extends KubeObject {
  readonly spec: { readonly nodeName?: string };
  readonly status?: {
    readonly podIP?: string;
    readonly containerStatuses?: readonly { readonly ready: boolean; readonly restartCount: number }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

interface Cluster {
  readonly api: KubernetesClient;
  readonly namespace: string;
  record(id: string): Promise<DeploymentRecord>;
  /** Pods of a record, those that are going left out. */
  pods(id: string): Promise<readonly Pod[]>;
}

const test = base.extend<{ cluster: Cluster }>({
  // eslint-disable-next-line no-empty-pattern -- Playwright reads the fixtures a fixture needs from this pattern.
  cluster: async ({}, use) => {
    const kubeconfig = process.env['KUBECONFIG'] ?? '';
    const api = createKubernetesClient({
      kubeconfig,
      ...(realContext === undefined ? {} : { context: realContext }),
      clock: systemClock,
      timers: systemTimers,
    });
    const namespace = process.env['OPRC_CRM_K8S_NAMESPACE'] ?? 'default';
    await use({
      api,
      namespace,
      record: async (id) => (await api.get(recordType, { name: id, namespace })) as unknown as DeploymentRecord,
      pods: async (id) => {
        const { items } = await api.list(kinds.pod, { namespace, labelSelector: `oaas.io/deployment=${id}` });
        return (items as readonly Pod[]).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      },
    });
    await api.close();
  },
});

test.describe.configure({ mode: 'serial' });

async function helloId(platform: Platform): Promise<string> {
  const [record] = await eventually(
    () => platform.records({ package_name: 'hello', environment: 'cloud' }),
    (found) => found.length === 1 && found[0]?.axes.health.status === 'Healthy',
    { what: 'hello is healthy in the cluster', withinMs: 180_000 },
  );
  return record?.id ?? '';
}

test('the hello example runs on a node, and its record is Ready by the same conditions', async ({
  platform,
  cluster,
}) => {
  test.setTimeout(240_000);
  const id = await helloId(platform);
  const record = await cluster.record(id);
  const status = (type: Parameters<typeof findCondition>[1]) => findCondition(record.status?.conditions, type)?.status;
  expect([status('Ready'), status('Available'), status('GridHealthy'), status('Degraded'), status('Stalled')]).toEqual([
    'True',
    'True',
    'True',
    'False',
    undefined,
  ]);
  expect(record.status?.observedGeneration).toBe(record.metadata.generation);
  const pods = await cluster.pods(id);
  expect(pods.map(({ metadata }) => metadata.labels?.['app.kubernetes.io/name'])).toEqual(
    expect.arrayContaining(['odgm', 'function']),
  );
  for (const { spec, status: pod } of pods) {
    expect(spec.nodeName).not.toBe('');
    expect(pod?.containerStatuses?.every(({ ready }) => ready)).toBe(true);
  }
});

test('its grid answers through its Service, and calls the function in its pod', async ({ platform }) => {
  const grid = await openGrid(platform.pm, await helloId(platform));
  try {
    await grid.set('ada', { name: 'Ada' });
    expect(await grid.get('ada')).toEqual({ name: 'Ada' });
    expect(JSON.stringify(await grid.invoke('ada', 'greet', { name: 'Ada' }))).toContain('Ada');
  } finally {
    grid.close();
  }
});

for (const part of ['function', 'odgm'] as const) {
  test(`a ${part} pod that is deleted comes back, and the record says so meanwhile`, async ({ platform, cluster }) => {
    test.setTimeout(240_000);
    const { api, namespace } = cluster;
    const id = await helloId(platform);
    const [pod] = (await cluster.pods(id)).filter(
      ({ metadata }) => metadata.labels?.['app.kubernetes.io/name'] === part,
    );
    const before = await cluster.record(id);

    // Every state that the record goes through from here on.
    const seen: string[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const event of api.watch(recordType, {
        namespace,
        resourceVersion: before.metadata.resourceVersion ?? '',
        signal: stop.signal,
      })) {
        if (event.type === 'BOOKMARK' || event.object.metadata.name !== id) continue;
        const ready = findCondition((event.object as unknown as DeploymentRecord).status?.conditions, 'Ready');
        seen.push(`${ready?.status ?? ''} ${ready?.reason ?? ''}`);
      }
    })().catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
    await api.delete(kinds.pod, { name: pod?.metadata.name ?? '', namespace });
    await eventually(
      () => Promise.resolve(seen),
      (states) => states.some((state) => state.startsWith('False')) && states.at(-1)?.startsWith('True') === true,
      { what: 'the record is not Ready, and then Ready again', withinMs: 120_000 },
    );
    stop.abort();
    await watching;

    const again = await cluster.pods(id);
    expect(again.map(({ metadata }) => metadata.uid)).not.toContain(pod?.metadata.uid);
    const grid = await openGrid(platform.pm, id);
    expect(await grid.get('ada')).toEqual({ name: 'Ada' });
    // Its caller notices the new pod when it next tries to connect, which it does once a second.
    const greeting = await eventually(
      () => grid.invoke('ada', 'greet', { name: 'Ada' }),
      (answer) => JSON.stringify(answer).includes('Ada'),
      { what: 'the function answers' },
    );
    expect(greeting).toBeDefined();
    grid.close();
  });
}

test('a refused commit touches no pod', async ({ platform, cluster }) => {
  const id = await helloId(platform);
  const state = async () =>
    (await cluster.pods(id)).map(({ metadata, status }) => [
      metadata.uid,
      metadata.resourceVersion,
      status?.containerStatuses?.map(({ restartCount }) => restartCount),
    ]);
  const before = [await state(), (await cluster.record(id)).metadata.generation];
  const text = platform.repository.read('hello/package.yaml');
  platform.repository.write('hello/package.yaml', `${text}\nnonsense: [\n`);
  const source = await platform.settled(await platform.repository.push('Break it'));
  expect(source.phase).toBe('Refused');
  expect([await state(), (await cluster.record(id)).metadata.generation]).toEqual(before);
  expect((await platform.settled(await platform.repository.revert())).phase).toBe('Synced');
});

test('what leaves Git leaves the node', async ({ platform, cluster }) => {
  test.setTimeout(240_000);
  const text = platform.repository.read('hello/package.yaml').replaceAll(/^name: hello$/gm, 'name: leaving');
  platform.repository.write('leaving/package.yaml', text.replace(/target_envs: .*/, 'target_envs: [cloud]'));
  await platform.settled(await platform.repository.push('Add the leaving package'));
  const [record] = await eventually(
    () => platform.records({ package_name: 'leaving' }),
    (found) => found.length === 1 && found[0]?.axes.data.status === 'Healthy',
    { what: 'the leaving package runs with its grid', withinMs: 180_000 },
  );
  const id = record?.id ?? '';
  expect((await cluster.pods(id)).length).toBeGreaterThan(1);
  await platform.settled(await platform.repository.revert());
  await eventually(
    () => cluster.pods(id),
    (pods) => pods.length === 0,
    { what: 'its pods are gone', withinMs: 120_000 },
  );
  await expect(cluster.record(id)).rejects.toMatchObject({ code: 'NotFound' });
});
