import type { StopReason } from '../meta/index.ts';
import type { Step, WaitFor } from './types.ts';

/** A step with its name for people, and what happens when it does not get on. */
export interface NamedStep {
  readonly step: Step;
  readonly name: string;
  /** Without it the step is tried for ever: an open joint configuration is never given up. */
  readonly giveUp?: StopReason | undefined;
}

export function ended(outcome: 'done' | 'skipped' | 'cancelled' | 'failed', reason?: StopReason): NamedStep {
  return { step: { do: 'end', outcome, reason }, name: outcome };
}

/** The end of a move that was taken back. */
export function stopped(reason: StopReason): NamedStep {
  return ended(reason === 'Cancelled' ? 'cancelled' : 'failed', reason);
}

export function waitFor(what: WaitFor, giveUp: StopReason): NamedStep {
  return { step: { do: 'wait', for: what }, name: what, giveUp };
}
