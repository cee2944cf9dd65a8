import { oaasError } from '@oaas/commons/errors';
import type { Client, ServiceHandlers } from '@oaas/commons/grpc';
import type { peer } from '@oaas/proto';
import type { GridNode, JoinPort, ReportPort } from '../node/index.ts';

/** `oaas.peer.v1.GridPeer`: what other nodes ask this one, whether they are members already or not. */
export function peerService(node: GridNode): ServiceHandlers<typeof peer.GridPeerDefinition> {
  const checkCluster = (clusterId: string): void => {
    if (clusterId === node.clusterId) return;
    throw oaasError('FailedPrecondition', `this is cluster ${node.clusterId}, not ${clusterId}`, {
      remedy: 'Correct the member list: it names a node of another cluster.',
      details: { clusterId: node.clusterId },
    });
  };
  /* eslint-disable @typescript-eslint/require-await -- handlers are asynchronous */
  return {
    identify: async (request) => {
      checkCluster(request.clusterId);
      return node.identify(request.from);
    },
    join: async (request) => {
      checkCluster(request.clusterId);
      return node.admit(request);
    },
    report: async (request) => {
      checkCluster(request.clusterId);
      return node.reportToPeer();
    },
  };
}

const identifyMs = 1000;
const joinMs = 6000;

/** The same asked of other nodes, over gRPC. */
export function createPeers(options: {
  readonly clusterId: string;
  readonly self: string;
  readonly clientOf: (address: string) => Client<typeof peer.GridPeerDefinition>;
}): JoinPort & ReportPort {
  const { clusterId, self, clientOf } = options;
  return {
    identify: (address, signal) =>
      clientOf(address).identify({ clusterId, from: self }, { deadlineMs: identifyMs, signal }),
    join: (address, request, signal) => clientOf(address).join(request, { deadlineMs: joinMs, signal }),
    report: (address, request, timeoutMs) => clientOf(address).report(request, { deadlineMs: timeoutMs }),
  };
}
