import type { Commit, PlanSummary, Source, SourcePhase, SyncRun } from '@oaas/commons/client/pm';
import type { Tone } from '../../ui/tone.ts';

const phases: Record<SourcePhase, readonly [Tone, string]> = {
  Pending: ['idle', 'Pending'],
  Fetching: ['busy', 'Fetching'],
  Planning: ['busy', 'Planning'],
  Applying: ['busy', 'Applying'],
  Synced: ['ok', 'Synced'],
  Refused: ['bad', 'Refused'],
  Failed: ['bad', 'Failed'],
  Stalled: ['bad', 'Stalled'],
  Suspended: ['pause', 'Suspended'],
};
export const sourcePhases = Object.keys(phases) as readonly SourcePhase[];

export function phaseView(phase: SourcePhase): { readonly tone: Tone; readonly word: string } {
  const [tone, word] = phases[phase];
  return { tone, word };
}

const runPhases: Record<SyncRun['phase'], readonly [Tone, string]> = {
  Running: ['busy', 'Running'],
  Succeeded: ['ok', 'Applied'],
  Refused: ['bad', 'Refused'],
  Failed: ['bad', 'Failed'],
  Superseded: ['idle', 'Superseded'],
};

export function runView(phase: SyncRun['phase']): { readonly tone: Tone; readonly word: string } {
  const [tone, word] = runPhases[phase];
  return { tone, word };
}

const clusterPhases: Record<SyncRun['clusters'][number]['phase'], readonly [Tone, string]> = {
  Waiting: ['idle', 'Waiting'],
  Applying: ['busy', 'Applying'],
  Applied: ['ok', 'Applied'],
  Failed: ['bad', 'Failed'],
  Unreachable: ['bad', 'Unreachable'],
};

export function clusterPhaseView(phase: SyncRun['clusters'][number]['phase']): {
  readonly tone: Tone;
  readonly word: string;
} {
  const [tone, word] = clusterPhases[phase];
  return { tone, word };
}

export const triggerWords: Record<SyncRun['trigger'], string> = {
  webhook: 'push',
  poll: 'poll',
  manual: 'by hand',
  rollback: 'rollback',
  resume: 'resumed',
  startup: 'start-up',
};

/** `main`, `v1.2`, or the commit's first digits: whichever the source follows. */
export function refText(ref: Source['ref']): string {
  return ref.branch ?? ref.tag ?? ref.commit?.slice(0, 8) ?? 'main';
}

export interface Station {
  readonly name: 'Seen' | 'Planned' | 'Applied';
  readonly meaning: string;
  readonly commit: Commit | null;
  readonly tone: Tone;
}

/** The commit's way: seen in Git, planned, applied by every cluster. A station that lags behind the one before says why by its tone. */
export function commitTrail(source: Source): readonly Station[] {
  const { observed_commit: seen, attempted_commit: planned, applied_commit: applied, phase } = source;
  // Held back on purpose, behind because something is wrong, or simply not there yet.
  const lag: Tone =
    source.suspended !== null || source.pinned !== null
      ? 'pause'
      : phase === 'Refused' || phase === 'Failed' || phase === 'Stalled'
        ? 'warn'
        : 'busy';
  const after = (commit: Commit | null, before: Commit | null): Tone => {
    if (commit === null) return 'idle';
    return before !== null && commit.id !== before.id ? lag : 'ok';
  };
  return [
    {
      name: 'Seen',
      meaning: 'newest commit in Git',
      commit: seen,
      tone: phase === 'Stalled' ? 'bad' : seen === null ? 'idle' : 'ok',
    },
    {
      name: 'Planned',
      meaning: 'last commit that was read',
      commit: planned,
      tone: phase === 'Refused' ? 'bad' : after(planned, seen),
    },
    { name: 'Applied', meaning: 'what every cluster has', commit: applied, tone: after(applied, planned) },
  ];
}

export interface SummaryPart {
  readonly name: keyof PlanSummary;
  readonly sign: string;
  readonly word: string;
  readonly tone: Tone;
}

/** The parts of a plan's summary in the order in which people care. */
export const summaryParts: readonly SummaryPart[] = [
  { name: 'refused', sign: '!', word: 'refused', tone: 'bad' },
  { name: 'hold', sign: '◆', word: 'to confirm', tone: 'hold' },
  { name: 'create', sign: '+', word: 'create', tone: 'ok' },
  { name: 'update', sign: '~', word: 'update', tone: 'busy' },
  { name: 'prune', sign: '−', word: 'prune', tone: 'bad' },
  { name: 'keep', sign: '·', word: 'keep', tone: 'idle' },
  { name: 'unchanged', sign: '=', word: 'unchanged', tone: 'idle' },
];

/** `2 create, 1 update` without what is zero; "nothing to do" when all is. */
export function summaryText(summary: PlanSummary): string {
  const parts = summaryParts.filter((part) => summary[part.name] > 0 && part.name !== 'unchanged');
  if (parts.length === 0) return summary.unchanged > 0 ? `${summary.unchanged} unchanged` : 'nothing to do';
  return parts.map((part) => `${summary[part.name]} ${part.word}`).join(', ');
}
