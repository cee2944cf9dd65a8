import type { GridView } from '@oaas/commons/client/pm';
import { type Clock, toRfc3339 } from '@oaas/commons/time';
import type { ClusterAgent } from '../cluster/agent.ts';

/** Everything about one grid, asked now, through the CRM of its cluster. Rejects as the CRM does. */
export async function gridView(agent: ClusterAgent, deploymentId: string, clock: Clock): Promise<GridView> {
  const { gridAdmin } = agent;
  const [status, members, collections, distribution] = await Promise.all([
    gridAdmin.getClusterStatus({ deploymentId }),
    gridAdmin.listMembers({ deploymentId }),
    gridAdmin.listCollections({ deploymentId }),
    gridAdmin.getShardDistribution({ deploymentId, collection: '' }),
  ]);
  return {
    environment: agent.name,
    deployment: deploymentId,
    cluster_id: status.clusterId,
    leader_node: status.leaderNode,
    total_nodes: status.totalNodes,
    active_nodes: status.activeNodes,
    balance_score: distribution.balanceScore,
    members: members.members.map((each) => ({
      id: each.id,
      address: each.address,
      zone: each.zone,
      state: (['up', 'suspect', 'draining', 'drained'] as const).find((state) => state === each.state) ?? 'down',
      version: each.version,
      shards: each.shards,
      leaders: each.leaders,
      objects: each.objects,
      bytes: each.bytes,
      uptime_seconds: each.uptimeSeconds,
      memory_bytes: each.memoryBytes,
      last_seen: each.lastSeen,
    })),
    collections: collections.collections.map((each) => ({
      name: each.name,
      partition_count: each.partitionCount,
      replica_count: each.replicaCount,
      shard_type: each.shardType,
      durability: each.durability,
      total_objects: each.totalObjects,
      size_bytes: each.sizeBytes,
      shards_ready: each.shardsReady,
      class_ids: each.classIds,
    })),
    shards: distribution.shards.map((each) => ({
      collection: each.collection,
      partition: each.partition,
      shard_id: each.shardId,
      type: each.type,
      leader: each.leader,
      term: each.term,
      state: each.state,
      replicas: each.replicas.map(({ node, role, state, match, lag }) => ({ node, role, state, match, lag })),
      objects: each.objects,
      bytes: each.bytes,
    })),
    observed_at: toRfc3339(clock.now()),
  };
}
