import { eventually, tempDir } from '@oaas/commons/testkit';
import { freePorts, type RunningNode, startNode } from '@oaas/odgm/testkit';
import { describe, expect, it } from 'vitest';
import { embedded } from '../kubernetes/targets.ts';

describe('nodes that find one another by the label of their pods', () => {
  it('form one cluster, which those that come later join', async () => {
    const server = await embedded.start();
    const { api, access } = server;
    const directory = await tempDir();
    const nodes: RunningNode[] = [];
    const ports = await freePorts(4);
    const path = '/api/v1/namespaces/default/pods';
    const start = async (index: number): Promise<void> => {
      const name = `blue-${String(index)}`;
      const port = ports[index] ?? 0;
      await api.post(path, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'default', labels: { 'odgm-cluster': 'blue' } },
        spec: { containers: [{ name: 'odgm', image: 'odgm', ports: [{ name: 'grpc', containerPort: port }] }] },
      });
      const status = { phase: 'Running', podIP: '127.0.0.1' };
      await api.patch(`${path}/${name}/status`, 'merge', { status });
      const node = await startNode({
        id: name,
        dataDir: `${directory.path}/${name}`,
        collections: [{ name: 'c', shardType: 'raft', replicaCount: 3 }],
        grpcPort: port,
        clusterAccess: () => Promise.resolve({ ...access, namespace: 'default' }),
        env: {
          ODGM_CLUSTER_ID: 'blue',
          ODGM_NODE_ADDR: `127.0.0.1:${String(port)}`,
          ODGM_DISCOVERY: 'pods',
          ODGM_EXPECTED_MEMBERS: '3',
        },
      });
      nodes.push(node);
    };
    try {
      await Promise.all([start(0), start(1), start(2)]);
      await start(3);
      await eventually(() => {
        expect(nodes.map(({ program }) => program.node.members().length)).toEqual([4, 4, 4, 4]);
      });
      const uids = nodes.map(({ program }) => program.node.meta?.state.cluster?.id);
      expect(new Set(uids).size).toBe(1);
      await nodes[3]?.data.set({ clsId: 'c', objectId: 'a', object: {} });
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
      await directory.remove();
      await server.stop();
    }
  }, 60_000);
});
