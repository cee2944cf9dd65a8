import { oaasError } from '@oaas/commons/errors';
import type { Client, ServiceHandlers } from '@oaas/commons/grpc';
import type { peer } from '@oaas/proto';
import type { GridNode, Member, PeerPort } from '../node/index.ts';

/** `oaas.peer.v1.GridPeer`: what the other members ask this node. */
export function peerService(node: GridNode): ServiceHandlers<typeof peer.GridPeerDefinition> {
  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- handlers are asynchronous
    report: async (request) => {
      if (request.clusterId !== node.clusterId) {
        throw oaasError('FailedPrecondition', `this is cluster ${node.clusterId}, not ${request.clusterId}`, {
          remedy: 'Correct the member list: it names a node of another cluster.',
          details: { clusterId: node.clusterId },
        });
      }
      return node.reportToPeer();
    },
  };
}

/** The port of a node to its peers, over gRPC. */
export function createPeers(options: {
  readonly clusterId: string;
  readonly self: string;
  readonly clientOf: (member: Member) => Client<typeof peer.GridPeerDefinition>;
  readonly close: () => void;
}): PeerPort {
  return {
    report: (member, timeoutMs) =>
      options.clientOf(member).report({ clusterId: options.clusterId, from: options.self }, { deadlineMs: timeoutMs }),
    close: options.close,
  };
}
