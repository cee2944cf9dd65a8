import type { Finding, MetaState } from '../../meta/index.ts';
import type { MemberView } from '../../node/index.ts';
import type { PlannedTask, Wish } from '../../tasks/index.ts';

/** All that a report is made from; the functions that make it read no clock and ask nobody. */
export interface DiagnosticsInput {
  /** Wall clock, in milliseconds. */
  readonly now: number;
  readonly state: MetaState;
  readonly members: readonly MemberView[];
  /** Number of the member that leads the meta group as this node knows it; 0 for nobody. */
  readonly metaLeader: number;
  /** Tasks that would do good and that nobody has started. */
  readonly suggestions: readonly Wish[];
  /** What a rebalance would do now, and what keeps shards from where they should be. */
  readonly rebalance: PlannedTask | undefined;
  /** Why shards have no place. */
  readonly unplaced: PlannedTask['blocked'];
}

/** What is known of the grid, area by area. Each has a finding at least, `info` when all is well. */
export interface DiagnosticsReport {
  readonly cluster: {
    readonly consensusHealth: readonly Finding[];
    readonly networkPartitions: readonly Finding[];
    readonly leaderStability: readonly Finding[];
    readonly memberHealth: readonly Finding[];
  };
  readonly shards: {
    readonly distributionBalance: readonly Finding[];
    readonly replicationHealth: readonly Finding[];
    readonly migrationStatus: readonly Finding[];
    readonly consistencyIssues: readonly Finding[];
  };
  readonly events: readonly Finding[];
  readonly performance: readonly Finding[];
  readonly resources: readonly Finding[];
}

/** Findings of one kind that are listed one by one; of more there is a last one that says how many. */
const listedMax = 20;

export function error(code: string, message: string, evidence: string, remedy: string): Finding {
  return { severity: 'error', code, message, evidence, remedy };
}

export function warning(code: string, message: string, evidence: string, remedy: string): Finding {
  return { severity: 'warning', code, message, evidence, remedy };
}

export function info(code: string, message: string, evidence: string, remedy = 'Nothing.'): Finding {
  return { severity: 'info', code, message, evidence, remedy };
}

/** The findings, the worst first and bounded; or that all is well. */
export function orWell(findings: readonly Finding[], well: Finding): Finding[] {
  if (findings.length === 0) return [well];
  const order = { error: 0, warning: 1, info: 2 };
  const sorted = [...findings].sort((a, b) => order[a.severity] - order[b.severity]);
  const more = sorted.length - listedMax;
  if (more <= 0) return sorted;
  const rest = `${String(more)} more findings of this area are not listed`;
  return [...sorted.slice(0, listedMax), info('more', rest, '', 'Deal with the listed ones, then look again.')];
}

export function nameOf({ state }: DiagnosticsInput, member: number): string {
  return state.members.get(member)?.id ?? `member ${String(member)}`;
}

/** Some of them, and how many more there are. */
export function some(names: readonly string[], most = 5): string {
  const more = names.length - most;
  return `${names.slice(0, most).join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`;
}

export function seconds(ms: number): string {
  return `${String(Math.round(Math.max(0, ms) / 1000))} s`;
}

export function isAnswering({ state, report }: MemberView): boolean {
  return report !== undefined && (state === 'up' || state === 'draining');
}
