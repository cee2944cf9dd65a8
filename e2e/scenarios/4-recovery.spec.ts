// What dies comes back, with its data; what is deleted by hand is put back.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../support/eventually.ts';
import { openGrid } from '../support/grid.ts';
import { pidsWith } from '../support/processes.ts';
import { expect, test } from '../support/platform.ts';

const run = promisify(execFile);
const assets = process.env['KUBEBUILDER_ASSETS'];
const kubectl = assets === undefined ? undefined : path.join(assets, 'kubectl');

test.describe.configure({ mode: 'serial' });

test.describe(kubectl === undefined ? 'kubectl (skipped: KUBEBUILDER_ASSETS names no kubectl)' : 'kubectl', () => {
  test.skip(kubectl === undefined, 'KUBEBUILDER_ASSETS names no kubectl');

  test('kubectl get dr lists the records with their columns, and its children are owned', async ({ platform }) => {
    const config = platform.sandbox.ready.clusters['cloud']?.kubeconfig ?? '';
    const get = async (...args: string[]) => (await run(kubectl ?? '', ['--kubeconfig', config, ...args])).stdout;
    const table = await get('get', 'dr');
    expect(table.split('\n')[0]).toMatch(/NAME\s+PACKAGE\s+CLASS\s+ENV\s+REVISION\s+HEALTH\s+READY\s+STATUS\s+AGE/);
    const [record] = await platform.records({ package_name: 'counter', environment: 'cloud' });
    expect(table).toContain(record?.id ?? 'no record');
    const owners = await get(
      'get',
      'statefulsets,deployments,services,configmaps',
      '-l',
      `oaas.io/deployment=${record?.id ?? ''}`,
      '-o',
      'jsonpath={range .items[*]}{.kind}={.metadata.ownerReferences[0].kind} {end}',
    );
    expect(owners.trim().split(' ').sort()).toEqual(
      expect.arrayContaining([
        'ConfigMap=DeploymentRecord',
        'Deployment=DeploymentRecord',
        'Service=DeploymentRecord',
        'StatefulSet=DeploymentRecord',
      ]),
    );
    await get('wait', '--for=condition=Ready', `dr/${record?.id ?? ''}`, '--timeout=60s');
  });

  test('a record that is deleted by hand is put back with its data', async ({ platform }) => {
    const [record] = await platform.records({ package_name: 'counter', environment: 'edge' });
    const id = record?.id ?? '';
    const grid = await openGrid(platform.pm, id);
    await grid.set('kept', { count: 5 });
    grid.close();
    const before = (await platform.pm.getRecord(id)).resources.find((resource) => resource.kind === 'StatefulSet');
    const config = platform.sandbox.ready.clusters['edge']?.kubeconfig ?? '';
    await run(kubectl ?? '', ['--kubeconfig', config, 'delete', 'dr', id, '--wait=true', '--timeout=60s']);
    await eventually(
      () => platform.pm.getRecord(id),
      (found) => {
        const now = found.resources.find((resource) => resource.kind === 'StatefulSet');
        return now !== undefined && now.uid !== before?.uid && found.axes.health.status === 'Healthy';
      },
      { what: 'the record is back', withinMs: 90_000 },
    );
    const again = await openGrid(platform.pm, id);
    expect(await again.get('kept')).toEqual({ count: 5 });
    again.close();
  });
});

test('a grid node that is killed comes back with every acknowledged write, and the record says so meanwhile', async ({
  platform,
}) => {
  const [record] = await platform.records({ package_name: 'counter', environment: 'cloud' });
  const id = record?.id ?? '';
  const grid = await openGrid(platform.pm, id);
  for (let i = 0; i < 50; i += 1) await grid.set(`durable-${String(i)}`, { count: i });
  const pods = (await platform.pm.getRecord(id)).resources.filter(
    (resource) => resource.kind === 'Pod' && resource.name.includes('-odgm-'),
  );
  const restarts = (found: readonly { kind: string; name: string; restarts: number }[]) =>
    found.filter((r) => r.kind === 'Pod' && r.name.includes('-odgm-')).reduce((sum, pod) => sum + pod.restarts, 0);
  const pids = pidsWith(
    await platform.sandbox.pids(),
    'ODGM_NODE_ID',
    pods.map((pod) => pod.name),
  );
  expect(pids.length).toBe(pods.length);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await eventually(
    () => platform.pm.getRecord(id),
    (found) => restarts(found.resources) >= restarts(pods) + pods.length,
    { what: 'the restarts are shown' },
  );
  const again = await openGrid(platform.pm, id);
  for (let i = 0; i < 50; i += 1) expect(await again.get(`durable-${String(i)}`)).toEqual({ count: i });
  again.close();
  grid.close();
});
