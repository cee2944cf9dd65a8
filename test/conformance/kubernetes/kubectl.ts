/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access -- answers are any JSON, checked by assertions */
import { spawn } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { shared } from './custom-resources.ts';
import { deployment, type Scene } from './scene.ts';
import { kubectlPath } from './targets.ts';

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(scene: Scene, args: readonly string[], input?: unknown): Promise<Ran> {
  return new Promise((resolve, reject) => {
    // Of its own, so that no run trusts what an earlier one discovered.
    const cache = `${scene.kubeconfig}.${scene.unique('cache')}`;
    const child = spawn(kubectlPath ?? 'kubectl', ['--kubeconfig', scene.kubeconfig, '--cache-dir', cache, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, out, err });
    });
    child.stdin.end(input === undefined ? '' : JSON.stringify(input));
  });
}

export function kubectlBehaviours(scene: Scene): void {
  if (kubectlPath === undefined) {
    describe.skip('skipped: there is no kubectl in KUBEBUILDER_ASSETS or PATH', () => undefined);
    return;
  }

  async function ok(args: readonly string[], input?: unknown): Promise<string> {
    const ran = await run(scene, args, input);
    expect(ran, `kubectl ${args.join(' ')}: ${ran.err}`).toMatchObject({ code: 0 });
    return ran.out;
  }

  test('apply creates, leaves alone and changes; get shows it', async () => {
    const namespace = await scene.namespace();
    const inNamespace = ['-n', namespace];
    expect(await ok(['apply', ...inNamespace, '-f', '-'], deployment('web'))).toBe('deployment.apps/web created\n');
    expect(await ok(['apply', ...inNamespace, '-f', '-'], deployment('web'))).toBe('deployment.apps/web unchanged\n');
    expect(await ok(['apply', ...inNamespace, '-f', '-'], deployment('web', { replicas: 3 }))).toBe(
      'deployment.apps/web configured\n',
    );
    const shown = await ok(['get', 'deploy', ...inNamespace]);
    expect(shown).toMatch(/^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/3 +0 +0 +\d+s\n$/);
    const wide = await ok(['get', 'deployments.apps', 'web', '-o', 'wide', ...inNamespace]);
    expect(wide).toMatch(/CONTAINERS +IMAGES +SELECTOR\nweb .* main +example\.io\/app:1 +app=web\n$/);
    const yaml = await ok(['get', 'deploy', 'web', '-o', 'yaml', ...inNamespace]);
    expect(yaml).toContain('\n  replicas: 3\n');
    expect(await ok(['get', 'deploy', 'web', '-o', 'jsonpath={.spec.replicas}', ...inNamespace])).toBe('3');
    expect(await ok(['get', 'deploy', '-o', 'name', ...inNamespace])).toBe('deployment.apps/web\n');
    expect(await ok(['diff', ...inNamespace, '-f', '-'], deployment('web', { replicas: 3 }))).toBe('');
  });

  test('create makes typed objects, which kubectl sends as protobuf', async () => {
    const namespace = scene.unique('typed');
    await ok(['create', 'namespace', namespace]);
    const inNamespace = ['-n', namespace];
    const made: readonly (readonly [create: string, path: string, expected: string])[] = [
      ['configmap c --from-literal=a=1', '{.data}', '{"a":"1"}'],
      ['secret generic s --from-literal=a=b', '{.data.a} {.type}', 'Yg== Opaque'],
      ['deployment d --image=x:1 --replicas=0 --port=80', '{.spec.replicas} {..ports[0].containerPort}', '0 80'],
      ['job j --image=x:1 -- sleep 1', '{..containers[0].command}', '["sleep","1"]'],
      ['cronjob k --image=x:1 --schedule=@daily', '{.spec.schedule} {.spec.suspend}', '@daily false'],
      ['service clusterip v --tcp=80:8080', '{.spec.ports[0].port} {.spec.ports[0].targetPort}', '80 8080'],
      ['serviceaccount a', '{.metadata.name}', 'a'],
      ['role r --verb=get --resource=pods', '{.rules[0].resources}', '["pods"]'],
      ['rolebinding b --role=r --user=u', '{.subjects[0].name} {.roleRef.name}', 'u r'],
      ['ingress i --rule=h/p=v:80', '{.spec.rules[0].http.paths[0].backend.service.name}', 'v'],
      ['poddisruptionbudget p --selector=a=b --min-available=50%', '{.spec.minAvailable}', '50%'],
      ['quota q --hard=cpu=1500m,pods=3', '{.spec.hard.cpu} {.spec.hard.pods}', '1500m 3'],
    ];
    for (const [create, path, expected] of made) {
      await ok(['create', ...inNamespace, ...create.split(' ')]);
      const [kind = '', ...rest] = create.split(' ');
      const name = kind === 'secret' || kind === 'service' ? rest[1] : rest[0];
      expect(await ok(['get', ...inNamespace, kind, name ?? '', '-o', `jsonpath=${path}`]), create).toBe(expected);
    }
    await ok(['expose', ...inNamespace, 'deployment', 'd', '--port=80', '--name=e']);
    expect(await ok(['auth', 'can-i', ...inNamespace, 'delete', 'pods'])).toBe('yes\n');
    await ok(['delete', 'namespace', namespace, '--wait=false']);
  });

  test('apply removes what the manifest no longer says', async () => {
    const namespace = await scene.namespace();
    const config = (data: Record<string, string>) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', namespace },
      data,
    });
    await ok(['apply', '-f', '-'], config({ a: '1', b: '2' }));
    await ok(['apply', '-f', '-'], config({ a: '1' }));
    expect(await ok(['get', 'cm', 'c', '-n', namespace, '-o', 'jsonpath={.data}'])).toBe('{"a":"1"}');
  });

  test('server-side apply takes over from client-side apply, and tells of conflicts', async () => {
    const namespace = await scene.namespace();
    const config = (value: string) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', namespace },
      data: { a: value },
    });
    await ok(['apply', '-f', '-'], config('1'));
    expect(await ok(['apply', '--server-side', '-f', '-'], config('2'))).toBe('configmap/c serverside-applied\n');
    const managers = await ok([
      'get',
      'cm',
      'c',
      '-n',
      namespace,
      '-o',
      'jsonpath={.metadata.managedFields[*].manager}',
    ]);
    expect(managers.split(' ').sort()).toEqual(['kubectl', 'kubectl-last-applied']);
    const other = await run(scene, ['apply', '--server-side', '--field-manager=other', '-f', '-'], config('3'));
    expect(other.code).toBe(1);
    expect(other.err).toContain('Apply failed with 1 conflict: conflict with "kubectl": .data.a');
    expect(
      await ok(['apply', '--server-side', '--force-conflicts', '--field-manager=other', '-f', '-'], config('3')),
    ).toContain('serverside-applied');
  });

  test('label, annotate, patch and scale change the object', async () => {
    const namespace = await scene.namespace();
    await ok(['apply', '-n', namespace, '-f', '-'], deployment('web'));
    expect(await ok(['label', 'deploy', 'web', 'tier=front', '-n', namespace])).toBe('deployment.apps/web labeled\n');
    expect(await ok(['annotate', 'deploy/web', 'example.io/note=x', '-n', namespace])).toBe(
      'deployment.apps/web annotated\n',
    );
    expect(await ok(['patch', 'deploy', 'web', '-n', namespace, '-p', '{"spec":{"paused":true}}'])).toBe(
      'deployment.apps/web patched\n',
    );
    expect(
      await ok([
        'patch',
        'deploy',
        'web',
        '-n',
        namespace,
        '--type=json',
        '-p',
        '[{"op":"remove","path":"/spec/paused"}]',
      ]),
    ).toBe('deployment.apps/web patched\n');
    expect(await ok(['scale', 'deploy', 'web', '--replicas=4', '-n', namespace])).toBe('deployment.apps/web scaled\n');
    expect(await ok(['set', 'image', 'deploy/web', 'main=example.io/app:2', '-n', namespace])).toBe(
      'deployment.apps/web image updated\n',
    );
    const shown = await ok([
      'get',
      'deploy',
      '-l',
      'tier=front',
      '-n',
      namespace,
      '-o',
      'jsonpath={.items[0].spec.replicas} {.items[0].spec.template.spec.containers[0].image}',
    ]);
    expect(shown).toBe('4 example.io/app:2');
  });

  test('describe tells of the object and its events', async () => {
    const namespace = await scene.namespace();
    await ok(['apply', '-n', namespace, '-f', '-'], deployment('web'));
    const uid = await ok(['get', 'deploy', 'web', '-n', namespace, '-o', 'jsonpath={.metadata.uid}']);
    await ok(['create', '-n', namespace, '-f', '-'], {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e' },
      involvedObject: { kind: 'Deployment', name: 'web', namespace, uid, apiVersion: 'apps/v1' },
      reason: 'ScalingReplicaSet',
      message: 'Scaled up',
      type: 'Normal',
      source: { component: 'test' },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
    });
    const text = await ok(['describe', 'deploy', 'web', '-n', namespace]);
    expect(text).toMatch(/^Name: +web\n/);
    expect(text).toMatch(/StrategyType: +RollingUpdate/);
    expect(text).toMatch(/Normal +ScalingReplicaSet +.* test +Scaled up/);
    expect(await ok(['events', '-n', namespace])).toContain('ScalingReplicaSet');
    const described = await ok(['describe', 'ns', namespace]);
    expect(described).toMatch(/Status: +Active/);
  });

  test('wait returns when the condition is met, and delete waits until the object is gone', async () => {
    const namespace = await scene.namespace();
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`;
    await ok(['apply', '-n', namespace, '-f', '-'], deployment('web'));
    const waiting = ok(['wait', '--for=condition=Available', 'deploy/web', '-n', namespace, '--timeout=20s']);
    await scene.api.patch(`${path}/status`, 'merge', {
      status: {
        conditions: [
          {
            type: 'Available',
            status: 'True',
            lastUpdateTime: '2026-01-01T00:00:00Z',
            lastTransitionTime: '2026-01-01T00:00:00Z',
          },
        ],
      },
    });
    expect(await waiting).toBe('deployment.apps/web condition met\n');
    expect(await ok(['delete', 'deploy', 'web', '-n', namespace])).toMatch(/^deployment\.apps "web" deleted/);
    const gone = await run(scene, ['get', 'deploy', 'web', '-n', namespace]);
    expect(gone.err).toBe('Error from server (NotFound): deployments.apps "web" not found\n');
  });

  test('get --watch follows changes', async () => {
    const namespace = await scene.namespace();
    const child = spawn(
      kubectlPath ?? 'kubectl',
      ['--kubeconfig', scene.kubeconfig, 'get', 'cm', '-n', namespace, '--watch', '-o', 'name'],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let out = '';
    const seen = new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString('utf8');
        if (out.includes('configmap/late')) resolve();
      });
    });
    const ended = new Promise<void>((resolve) => {
      child.once('close', () => {
        resolve();
      });
    });
    await scene.api.post(`/api/v1/namespaces/${namespace}/configmaps`, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'late' },
    });
    await seen;
    child.kill('SIGTERM');
    await ended;
  });

  test('explain knows the fields of built-in and custom kinds', async () => {
    const builtin = await ok(['explain', 'deployment.spec.strategy']);
    expect(builtin).toMatch(/KIND: +Deployment\n/);
    expect(builtin).toMatch(/rollingUpdate\t<RollingUpdateDeployment>/);
    const { group } = await shared(scene);
    await scene.api.until(`/openapi/v3/apis/${group}/v1`, ({ status }) => status === 200);
    await scene.api.until('/apis', ({ body }) => JSON.stringify(body).includes(group));
    const custom = await ok(['explain', 'widgets.spec', '--api-version', `${group}/v1`]);
    expect(custom).toMatch(/size\t<integer>/);
  });

  test('unknown fields are refused before anything is stored', async () => {
    const namespace = await scene.namespace();
    const bad = deployment('web');
    bad.spec.nonsense = 1;
    const ran = await run(scene, ['apply', '-n', namespace, '-f', '-'], bad);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('unknown field "spec.nonsense"');
    expect((await run(scene, ['get', 'deploy', 'web', '-n', namespace])).code).toBe(1);
  });

  test('custom resources can be applied, listed by short name, and deleted', async () => {
    const { group } = await shared(scene);
    const namespace = await scene.namespace();
    const widget = { apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name: 'w', namespace }, spec: { size: 2 } };
    expect(await ok(['apply', '-f', '-'], widget)).toBe(`widget.${group}/w created\n`);
    expect(await ok(['get', `widgets.${group}`, '-n', namespace])).toMatch(/^NAME +SIZE +READY +AGE\nw +2 +\d+s\n$/);
    expect(await ok(['apply', '-f', '-'], { ...widget, spec: { size: 3 } })).toBe(`widget.${group}/w configured\n`);
    expect(await ok(['delete', `widgets.${group}`, 'w', '-n', namespace])).toContain('deleted');
  });

  test('create, replace, api-resources and rollout status work', async () => {
    const namespace = await scene.namespace();
    const config = (value: string) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', namespace },
      data: { a: value },
    });
    expect(await ok(['create', '-f', '-'], config('1'))).toBe('configmap/c created\n');
    expect((await run(scene, ['create', '-f', '-'], config('1'))).err).toContain('(AlreadyExists)');
    expect(await ok(['replace', '-f', '-'], config('2'))).toBe('configmap/c replaced\n');
    expect(await ok(['api-resources', '--api-group=apps', '-o', 'name'])).toContain('deployments.apps\n');
    expect(await ok(['get', 'all', '-n', namespace])).toBe('');
    await ok(['apply', '-n', namespace, '-f', '-'], deployment('web'));
    expect(await ok(['rollout', 'status', '--watch=false', 'deploy/web', '-n', namespace])).toContain(
      'Waiting for deployment',
    );
    expect(await ok(['rollout', 'restart', 'deploy/web', '-n', namespace])).toBe('deployment.apps/web restarted\n');
  });
}
