import { describe, expect, it } from 'vitest';
import { nodesOfPods } from '@oaas/odgm/discovery';
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

function discovery(target: Target): void {
  const title = target.missing === undefined ? target.name : `${target.name} (skipped: ${target.missing})`;
  describe.skipIf(target.missing !== undefined)(`pods of a grid, as ${title} lists them`, () => {
    it('are nodes by their label, once they have an address, and as long as they have not ended', async () => {
      const server = await target.start();
      const { api, access } = server;
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
        const found = await nodesOfPods({ ...access, namespace }, 'blue', 8080);
        expect(found).toEqual([
          { id: 'blue-0', address: '10.0.0.1:80' },
          { id: 'blue-1', address: '10.0.0.2:8080' },
        ]);
        const stranger = nodesOfPods({ ...access, namespace, token: () => Promise.resolve('wrong') }, 'blue', 8080);
        await expect(stranger).rejects.toMatchObject({ code: 'PermissionDenied' });
      } finally {
        await server.stop();
      }
    }, 120_000);
  });
}

discovery(embedded);
discovery(real);
