import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@oaas/commons/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processStart } from '../orphans.ts';
import { startTestCluster, type TestCluster, testPod } from '../testkit/cluster.ts';
import { sandboxKinds } from '../workloads/caches.ts';
import { isReady, type Pod } from '../workloads/objects.ts';

const fieldManager = 'test';

const server = `
import { createServer } from 'node:http';
let healthy = true;
createServer((request, response) => {
  if (request.url === '/break') healthy = false;
  response.statusCode = healthy ? 200 : 500;
  response.end(JSON.stringify({ pid: process.pid, env: process.env }));
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
`;
const scripts = {
  'test/server': server,
  'test/crash': `console.log('about to fail'); console.error('no such luck'); process.exit(3);`,
  'test/once': `console.log('one', process.env.GREETING); console.log('two');`,
  'test/deaf': `process.on('SIGTERM', () => console.log('heard but stays')); setInterval(() => {}, 1000); console.log('up');`,
  'test/files': `
import { readFileSync, writeFileSync, existsSync } from 'node:fs';
console.log(readFileSync(process.env.CONFIG, 'utf8'));
console.log('data', process.env.DATA_DIR, 'found', existsSync(process.env.DATA_DIR + '/mark'));
writeFileSync(process.env.DATA_DIR + '/mark', 'x');
setInterval(() => {}, 1000);`,
};

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster(scripts);
});
afterAll(() => cluster.stop());

async function create(pod: object): Promise<void> {
  await cluster.api.create(sandboxKinds.pod, pod as Pod, { fieldManager });
}

function main(pod: Pod) {
  return pod.status?.containerStatuses?.[0];
}

async function eventsOf(pod: string): Promise<string[]> {
  const { items } = await cluster.api.list(sandboxKinds.event, { namespace: 'default' });
  return items
    .filter((event) => (event['involvedObject'] as { name: string }).name === pod)
    .map((event) => `${String(event['reason'])}: ${String(event['message'])}`);
}

async function pidOf(pod: string): Promise<number> {
  const id = main(await cluster.pod(pod))?.containerID ?? '';
  return Number(id.replace('process://', ''));
}

function isGone(pid: number): Promise<unknown> {
  return eventually(() => processStart(pid) === undefined);
}

describe('a pod', () => {
  it('runs as a process on a loopback port and is Ready when its probe says so', async () => {
    await create(
      testPod(
        'web',
        'test/server:1',
        {},
        {
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { httpGet: { path: '/', port: 'http' } },
          env: [
            { name: 'ME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            { name: 'TWICE', value: '$(ME)$(ME)' },
          ],
        },
      ),
    );
    const pod = await eventually(async () => {
      const found = await cluster.pod('web');
      expect(isReady(found)).toBe(true);
      return found;
    });
    expect(pod.spec.nodeName).toBe('test-local');
    expect(pod.status).toMatchObject({ phase: 'Running', podIP: '127.0.0.1' });
    const ports = JSON.parse(pod.metadata.annotations?.['sandbox.oaas.io/host-ports'] ?? '{}') as Record<
      string,
      number
    >;
    const answer = await fetch(`http://127.0.0.1:${String(ports['8080'])}/`);
    const { env } = (await answer.json()) as { env: Record<string, string> };
    expect(env).toMatchObject({ ME: 'web', TWICE: 'webweb', PORT: String(ports['8080']) });
    await eventually(async () => expect((await eventsOf('web')).join()).toContain('Started: Started container main'));
  });

  it('is restarted when its liveness probe fails, and the failure is told in an event', async () => {
    await create(
      testPod(
        'sick',
        'test/server:1',
        {},
        {
          ports: [{ containerPort: 8080 }],
          livenessProbe: {
            httpGet: { path: '/', port: 8080 },
            periodSeconds: 1,
            failureThreshold: 1,
            initialDelaySeconds: 1,
          },
          readinessProbe: { tcpSocket: { port: 8080 } },
        },
      ),
    );
    const first = await eventually(async () => {
      const pod = await cluster.pod('sick');
      expect(isReady(pod)).toBe(true);
      return pod;
    });
    const ports = JSON.parse(first.metadata.annotations?.['sandbox.oaas.io/host-ports'] ?? '{}') as Record<
      string,
      number
    >;
    await fetch(`http://127.0.0.1:${String(ports['8080'])}/break`);
    await eventually(async () => {
      const pod = await cluster.pod('sick');
      expect(main(pod)?.restartCount).toBe(1);
      expect(isReady(pod)).toBe(true);
    });
    const events = (await eventsOf('sick')).join('\n');
    expect(events).toContain('Unhealthy: Liveness probe failed: HTTP probe failed with statuscode: 500');
    expect(events).toContain('Killing: Container main failed liveness probe, will be restarted');
  });

  it('that crashes again and again waits in CrashLoopBackOff and tells its exit code and last words', async () => {
    await create(testPod('crash', 'test/crash'));
    await eventually(async () => {
      const status = main(await cluster.pod('crash'));
      expect(status?.restartCount).toBeGreaterThan(0);
      expect(status?.state.waiting?.reason).toBe('CrashLoopBackOff');
      expect(status?.state.waiting?.message).toContain('exit code 3, last output: no such luck');
      expect(status?.lastState.terminated?.exitCode).toBe(3);
    });
    expect(await cluster.log('crash', { previous: true })).toBe('about to fail\nno such luck\n');
    expect((await eventsOf('crash')).join()).toContain(
      'BackOff: Back-off restarting failed container main in pod crash',
    );
  });

  it('with an unknown image is never started, and its message names the images known', async () => {
    await create(testPod('unknown', 'example.com/what:2'));
    await eventually(async () => {
      expect(main(await cluster.pod('unknown'))?.state.waiting?.reason).toBe('ImagePullBackOff');
    });
    const message = main(await cluster.pod('unknown'))?.state.waiting?.message ?? '';
    expect(message).toContain('example.com/what:2');
    expect(message).toContain('test/crash, test/deaf');
    expect((await cluster.pod('unknown')).status?.phase).toBe('Pending');
  });

  it('that ran to its end with restartPolicy Never has Succeeded, and its log can be read in parts', async () => {
    await create(
      testPod('once', 'test/once', { restartPolicy: 'Never' }, { env: [{ name: 'GREETING', value: 'hi' }] }),
    );
    await eventually(async () => expect((await cluster.pod('once')).status?.phase).toBe('Succeeded'));
    expect(await cluster.log('once')).toBe('one hi\ntwo\n');
    expect(await cluster.log('once', { tailLines: 1 })).toBe('two\n');
    expect(await cluster.log('once', { timestamps: true, tailLines: 1 })).toMatch(/^\d{4}-.*Z two\n$/);
  });

  it('that ignores SIGTERM is killed when its grace period is over, and then its object goes', async () => {
    await create(testPod('deaf', 'test/deaf', { terminationGracePeriodSeconds: 1 }));
    await eventually(async () => expect(await cluster.log('deaf')).toContain('up'));
    const pid = await pidOf('deaf');
    const following = await cluster.logStream('deaf', { follow: true });
    let text = '';
    following?.on('data', (chunk) => (text += String(chunk)));
    await cluster.api.delete(sandboxKinds.pod, { namespace: 'default', name: 'deaf' });
    expect((await cluster.pod('deaf')).metadata.deletionTimestamp).toBeDefined();
    await isGone(pid);
    await eventually(() => expect(cluster.pod('deaf')).rejects.toThrow(/not found/));
    expect(text).toBe('up\nheard but stays\n');
  });

  it('waits for its ConfigMap, gets it as a file with addresses rewritten, and keeps claimed data over a new pod', async () => {
    const claim = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data', namespace: 'default' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    };
    await cluster.api.create(sandboxKinds.volumeClaim, claim, { fieldManager });
    const pod = testPod(
      'files',
      'test/files',
      {
        volumes: [
          { name: 'config', configMap: { name: 'settings' } },
          { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
        ],
      },
      {
        env: [{ name: 'CONFIG', value: '/etc/app/app.yaml' }],
        volumeMounts: [
          { name: 'config', mountPath: '/etc/app' },
          { name: 'data', mountPath: '/data' },
        ],
      },
    );
    await create(pod);
    await eventually(async () => {
      const waiting = main(await cluster.pod('files'))?.state.waiting;
      expect(waiting).toMatchObject({ reason: 'ContainerCreating', message: 'configmap "settings" not found' });
    });
    const settings = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'default' },
      data: { 'app.yaml': 'peer: files-0.peers.default.svc:8080' },
    };
    await cluster.api.create(sandboxKinds.configMap, settings, { fieldManager });
    await eventually(async () => expect(await cluster.log('files')).toMatch(/peer: 127\.0\.0\.1:\d+\n/));
    const folder = join(cluster.dir, 'volumes', 'default', 'data');
    expect(await cluster.log('files')).toContain(`data ${folder} found false`);

    await cluster.api.delete(sandboxKinds.pod, { namespace: 'default', name: 'files' });
    await eventually(() => expect(cluster.pod('files')).rejects.toThrow(/not found/));
    expect(readFileSync(join(folder, 'mark'), 'utf8')).toBe('x');
    await create(pod);
    await eventually(async () => expect(await cluster.log('files')).toContain('found true'));

    await cluster.api.delete(sandboxKinds.pod, { namespace: 'default', name: 'files' });
    await cluster.api.delete(sandboxKinds.volumeClaim, { namespace: 'default', name: 'data' });
    await eventually(() => !existsSync(folder));
  });

  it('comes back after a restart of the sandbox, which counts as a restart of its container', async () => {
    await create(testPod('stays', 'test/deaf'));
    await eventually(async () => expect(await cluster.log('stays')).toContain('up'));
    const pid = await pidOf('stays');
    const { restartCount = 0 } = main(await cluster.pod('stays')) ?? {};
    await cluster.restart();
    await isGone(pid);
    await eventually(async () => {
      const status = main(await cluster.pod('stays'));
      expect(status?.state.running).toBeDefined();
      expect(status?.restartCount).toBe(restartCount + 1);
    });
  });
});
