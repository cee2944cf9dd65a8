import { findCondition, type Reason, type RecordStatus } from '../../record/index.ts';
import type { AppliedChild, Facts } from './facts.ts';

/** An event to write about a record. */
export interface EventWish {
  readonly type: 'Normal' | 'Warning';
  readonly reason: Reason;
  readonly action: string;
  readonly note: string;
}

/** Events are written when something has become different, never for a state that goes on. */
export function transitionEvents(previous: RecordStatus, next: RecordStatus, facts: Facts): readonly EventWish[] {
  return [...templateEvents(previous, next), ...childEvents(facts.applied), ...readyEvents(previous, next)];
}

function templateEvents(previous: RecordStatus, next: RecordStatus): EventWish[] {
  const { selectedTemplate } = next;
  // The first template comes with the first children, whose event is enough.
  if (selectedTemplate === undefined || previous.selectedTemplate === undefined) return [];
  if (selectedTemplate === previous.selectedTemplate) return [];
  return [
    { type: 'Normal', reason: 'TemplateSelected', action: 'SelectTemplate', note: `template ${selectedTemplate}` },
  ];
}

/** What was done to children; known only to the pass that did it. */
export function childEvents(applied: readonly AppliedChild[]): readonly EventWish[] {
  const events: EventWish[] = [];
  const drifted = applied.filter(({ drift }) => drift !== undefined && drift.length > 0);
  const written = applied.filter(
    ({ action, drift }) => (action === 'created' || action === 'updated') && drift === undefined,
  );
  const pruned = applied.filter(({ action }) => action === 'pruned');
  if (written.length > 0) {
    events.push({ type: 'Normal', reason: 'ResourceApplied', action: 'Apply', note: `applied ${list(written)}` });
  }
  if (pruned.length > 0) {
    events.push({ type: 'Normal', reason: 'ResourcePruned', action: 'Prune', note: `removed ${list(pruned)}` });
  }
  for (const child of drifted) {
    const fields = (child.drift ?? []).slice(0, 5).join(', ');
    const note = `${child.kind} ${child.name} was changed by someone else (${fields}) and put back`;
    events.push({ type: 'Warning', reason: 'DriftCorrected', action: 'Apply', note });
  }
  return events;
}

function readyEvents(previous: RecordStatus, next: RecordStatus): EventWish[] {
  const before = findCondition(previous.conditions, 'Ready');
  const now = findCondition(next.conditions, 'Ready');
  if (now === undefined || (before?.status === now.status && before.reason === now.reason)) return [];
  const reason = now.reason as Reason;
  if (now.status === 'True') return [{ type: 'Normal', reason, action: 'Reconcile', note: now.message }];
  const isWarning =
    findCondition(next.conditions, 'Degraded')?.status === 'True' ||
    findCondition(next.conditions, 'Stalled') !== undefined;
  // Steps on the way are seen in the conditions; only what needs a person, and what a person asked for, is an event.
  if (isWarning) return [{ type: 'Warning', reason, action: 'Reconcile', note: now.message }];
  return reason === 'Suspended' || reason === 'Deleting'
    ? [{ type: 'Normal', reason, action: 'Reconcile', note: now.message }]
    : [];
}

/** Names that a note can bear. */
const namesMax = 8;

function list(children: readonly AppliedChild[]): string {
  const shown = children.slice(0, namesMax).map(({ kind, name }) => `${kind} ${name}`);
  return shown.join(', ') + (children.length > namesMax ? ` and ${String(children.length - namesMax)} more` : '');
}
