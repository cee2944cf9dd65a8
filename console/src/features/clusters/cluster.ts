import type { ClusterView } from '@oaas/commons/client/pm';
import type { Tone } from '../../ui/tone.ts';

const connections: Record<ClusterView['connection'], readonly [Tone, string]> = {
  Connected: ['ok', 'Connected'],
  Connecting: ['busy', 'Connecting'],
  BreakerOpen: ['bad', 'Breaker open'],
  Disconnected: ['bad', 'Disconnected'],
};

export function connectionView(connection: ClusterView['connection']): { readonly tone: Tone; readonly word: string } {
  const [tone, word] = connections[connection];
  return { tone, word };
}

const healths: Record<ClusterView['health']['status'], readonly [Tone, string]> = {
  Healthy: ['ok', 'Healthy'],
  Degraded: ['warn', 'Degraded'],
  Unhealthy: ['bad', 'Unhealthy'],
  Unknown: ['idle', 'Unknown'],
};

export function clusterHealthView(status: ClusterView['health']['status']): {
  readonly tone: Tone;
  readonly word: string;
} {
  const [tone, word] = healths[status];
  return { tone, word };
}

/** Whether the cluster has what Git wants; unknown while nobody can ask it. */
export function inSyncView(cluster: Pick<ClusterView, 'connection' | 'in_sync'>): {
  readonly tone: Tone;
  readonly word: string;
} {
  if (cluster.connection !== 'Connected') return { tone: 'idle', word: 'Unknown' };
  return cluster.in_sync ? { tone: 'ok', word: 'In sync' } : { tone: 'warn', word: 'Out of sync' };
}
