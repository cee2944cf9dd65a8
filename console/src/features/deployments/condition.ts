import type { Condition } from '@oaas/commons/client/pm';
import type { Tone } from '../../ui/tone.ts';

/** Conditions whose True means trouble or unrest; they are normally absent. */
const abnormal: Readonly<Record<string, Tone>> = {
  Stalled: 'bad',
  Degraded: 'bad',
  Reconciling: 'busy',
  Progressing: 'busy',
  Suspended: 'pause',
};

/** Conditions whose False is less than broken: nothing was measured, or a requirement is missed while everything runs. */
const mild: Readonly<Record<string, Tone>> = { NfrObserved: 'idle', NfrCompliant: 'warn' };

export function conditionTone(condition: Pick<Condition, 'type' | 'status'>): Tone {
  const unrest = abnormal[condition.type];
  if (condition.status === 'Unknown') return 'idle';
  if (unrest !== undefined) return condition.status === 'True' ? unrest : 'ok';
  return condition.status === 'True' ? 'ok' : (mild[condition.type] ?? 'bad');
}
