import { eventually } from '@oaas/commons/testkit';
import { systemRandom as random, systemTimers as timers } from '@oaas/commons/time/system';
import { type ClusterAccess, PodWatch } from '@oaas/odgm/discovery';
import { describe, expect, it } from 'vitest';
import { embedded, real, type Target } from '../kubernetes/targets.ts';

const namespace = 'default';
const path = `/api/v1/namespaces/${namespace}/pods`;

function pod(name: string, cluster: string, ports: readonly object[]): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { 'odgm-cluster': cluster } },
    spec: { automountServiceAccountToken: false, containers: [{ name: 'odgm', image: 'odgm', ports }] },
  };
}

function watchOf(access: ClusterAccess): PodWatch {
  const onError = (): void => undefined;
  const clusterAccess = () => Promise.resolve(access);
  return new PodWatch({ access: clusterAccess, clusterId: 'blue', defaultPort: 8080, timers, random, onError });
}

function discovery(target: Target): void {
  const title = target.missing === undefined ? target.name : `${target.name} (skipped: ${target.missing})`;
  describe.skipIf(target.missing !== undefined)(`pods of a grid, as ${title} shows them`, () => {
    it('are nodes by their label, once they have an address, and as long as they have not ended, and are followed', async () => {
      const server = await target.start();
      const { api } = server;
      try {
        await api.post(`/api/v1/namespaces/${namespace}/serviceaccounts`, {
          apiVersion: 'v1',
          kind: 'ServiceAccount',
          metadata: { name: 'default' },
        });
        const grpc = [
          { name: 'admin', containerPort: 81 },
          { name: 'grpc', containerPort: 80 },
        ];
        const pods = [
          pod('blue-0', 'blue', grpc),
          pod('blue-1', 'blue', []),
          pod('blue-2', 'blue', grpc),
          pod('blue-3', 'blue', grpc),
          pod('green-0', 'green', grpc),
        ];
        for (const one of pods) expect(await api.post(path, one)).toMatchObject({ status: 201 });
        const status = async (name: string, phase: string, ip: string): Promise<void> => {
          const change = { status: { phase, podIP: ip, podIPs: [{ ip }] } };
          expect(await api.patch(`${path}/${name}/status`, 'merge', change)).toMatchObject({ status: 200 });
        };
        await status('blue-0', 'Running', '10.0.0.1');
        await status('blue-1', 'Pending', '10.0.0.2');
        await status('blue-3', 'Failed', '10.0.0.4');
        await status('green-0', 'Running', '10.0.0.5');
        const watch = watchOf({ ...server.access, namespace });
        const stranger = watchOf({ ...server.access, namespace, token: () => Promise.resolve('wrong') });
        watch.start();
        stranger.start();
        try {
          await expect(stranger.nodes()).rejects.toMatchObject({ code: 'PermissionDenied' });
          expect(await watch.nodes()).toEqual([
            { id: 'blue-0', address: '10.0.0.1:80' },
            { id: 'blue-1', address: '10.0.0.2:8080' },
          ]);
          await status('blue-2', 'Running', '10.0.0.3');
          await status('blue-1', 'Succeeded', '10.0.0.2');
          await api.patch(`${path}/blue-0`, 'merge', { metadata: { labels: { 'odgm-cluster': 'red' } } });
          await eventually(async () => {
            expect(await watch.nodes()).toEqual([{ id: 'blue-2', address: '10.0.0.3:80' }]);
          });
          await api.delete(`${path}/blue-2?gracePeriodSeconds=0`);
          await eventually(async () => {
            expect(await watch.nodes()).toEqual([]);
          });
        } finally {
          await watch.stop();
          await stranger.stop();
        }
      } finally {
        await server.stop();
      }
    }, 120_000);
  });
}

discovery(embedded);
discovery(real);
