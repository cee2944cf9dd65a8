import type { Condition } from '@oaas/commons/client/pm';
import type { SourceState } from './state.ts';

export interface ConditionInput {
  readonly type: 'Ready' | 'Reconciling' | 'Stalled';
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/**
 * Conditions of a source, with Flux's types and reasons. Reconciling and Stalled are only there while they are true. A condition
 * keeps the time of its last change of status.
 */
export function withConditions(
  before: readonly Condition[],
  inputs: readonly ConditionInput[],
  at: string,
): readonly Condition[] {
  return inputs
    .filter((input) => input.type === 'Ready' || input.status === 'True')
    .map((input) => {
      const old = before.find((condition) => condition.type === input.type);
      const isSame = old?.status === input.status;
      if (isSame && old.reason === input.reason && old.message === input.message) return old;
      return { ...input, last_transition_time: isSame ? old.last_transition_time : at };
    });
}

export interface GitTrouble {
  readonly code: string;
  readonly message: string;
  readonly isStalled: boolean;
}

/** The conditions that belong to a source, from what became of its last commit and of the last look at its repository. */
export function conditionsOf(
  state: SourceState,
  trouble: GitTrouble | undefined,
  busy: string | undefined,
  at: string,
): readonly Condition[] {
  const inputs: ConditionInput[] = [readyOf(state, trouble, busy)];
  if (trouble?.isStalled === true) {
    inputs.push({ type: 'Stalled', status: 'True', reason: reasonOf(trouble), message: trouble.message });
  } else if (trouble !== undefined) {
    inputs.push({ type: 'Reconciling', status: 'True', reason: 'ProgressingWithRetry', message: trouble.message });
  } else if (busy !== undefined || state.outcome === 'applying') {
    inputs.push({ type: 'Reconciling', status: 'True', reason: 'Progressing', message: busy ?? state.message });
  }
  return withConditions(state.conditions, inputs, at);
}

function readyOf(state: SourceState, trouble: GitTrouble | undefined, busy: string | undefined): ConditionInput {
  const ready = (status: ConditionInput['status'], reason: string, message: string): ConditionInput => ({
    type: 'Ready',
    status,
    reason,
    message,
  });
  if (trouble !== undefined) return ready('False', reasonOf(trouble), trouble.message);
  if (state.suspended !== null) return ready('Unknown', 'Suspended', state.suspended.reason);
  if (busy !== undefined) return ready('Unknown', 'Progressing', busy);
  switch (state.outcome) {
    case 'none':
      return ready('Unknown', 'Progressing', 'No commit has been seen yet.');
    case 'refused':
      return ready('False', 'BuildFailed', state.message);
    case 'applying':
      return ready('Unknown', 'Progressing', state.message);
    case 'synced':
      return ready('True', 'ReconciliationSucceeded', state.message);
    case 'failed':
      return ready('False', 'ReconciliationFailed', state.message);
  }
}

function reasonOf(trouble: GitTrouble): string {
  switch (trouble.code) {
    case 'SourceAuthFailed':
      return 'AuthenticationFailed';
    case 'ConfigInvalid':
      return 'URLInvalid';
    default:
      return 'GitOperationFailed';
  }
}
