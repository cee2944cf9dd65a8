/** The state of the grid as findings with evidence and remedies. */
import { consensusHealth, leaderStability, memberHealth, networkPartitions } from './cluster.ts';
import { events } from './events.ts';
import { performance, resources } from './load.ts';
import type { Clock } from '@oaas/commons/time';
import type { admin } from '@oaas/proto';
import { createMetaState, type Finding, placementSnapshot } from '../../meta/index.ts';
import type { GridNode } from '../../node/index.ts';
import { planPlacement } from '../../placement/index.ts';
import { decideTriggers, planTask } from '../../tasks/index.ts';
import { consistencyIssues, distributionBalance, migrationStatus, replicationHealth } from './shards.ts';
import type { DiagnosticsInput, DiagnosticsReport } from './types.ts';

export type { DiagnosticsInput, DiagnosticsReport } from './types.ts';

/** What a node knows. The reports of the members should be fresh. */
export function inputOf(node: GridNode, clock: Clock): DiagnosticsInput {
  const now = clock.now();
  const state = node.meta?.state ?? createMetaState();
  const loads = node.reports.loads();
  const watch = node.meta ?? { isGone: () => false, uncheckedMs: 0 };
  const { isGone } = watch;
  const isFormed = state.cluster !== undefined;
  const rebalance = isFormed ? planTask(state, loads, { kind: 'rebalance', collection: '' }, isGone) : undefined;
  const { wishes } = decideTriggers(state, rebalance?.before ?? 1, { wantsBalance: false }, now, watch);
  return {
    now,
    state,
    members: node.members(),
    metaLeader: node.meta?.leader ?? 0,
    suggestions: wishes.filter(({ mode }) => mode === 'suggest'),
    rebalance,
    unplaced: planPlacement(placementSnapshot(state, loads, { kind: 'initial' }, isGone)).blocked,
  };
}

/** The same findings as the wire has them: each says which area it is of. */
export function flatDiagnostics(report: DiagnosticsReport, takenAt: string): admin.Diagnostics {
  const within = (areas: object): admin.Finding[] =>
    Object.entries(areas as Record<string, readonly Finding[]>).flatMap(([name, findings]) => {
      const area = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      return findings.map((finding) => ({ ...finding, area }));
    });
  const { cluster, shards, events: ofEvents, performance: ofPerformance, resources: ofResources } = report;
  return {
    cluster: within(cluster),
    shards: within(shards),
    events: within({ events: ofEvents }),
    performance: within({ performance: ofPerformance }),
    resources: within({ resources: ofResources }),
    takenAt,
  };
}

export function diagnose(input: DiagnosticsInput): DiagnosticsReport {
  return {
    cluster: {
      consensusHealth: consensusHealth(input),
      networkPartitions: networkPartitions(input),
      leaderStability: leaderStability(input),
      memberHealth: memberHealth(input),
    },
    shards: {
      distributionBalance: distributionBalance(input),
      replicationHealth: replicationHealth(input),
      migrationStatus: migrationStatus(input),
      consistencyIssues: consistencyIssues(input),
    },
    events: events(input),
    performance: performance(input),
    resources: resources(input),
  };
}
