import { describe, expect, it } from 'vitest';
import { kstatus, removeCondition, setCondition } from './conditions.ts';

const early = '2026-01-01T00:00:00.000Z';
const late = '2026-01-02T00:00:00.000Z';
const notReady = { type: 'Ready', status: 'False', reason: 'PodsNotReady', message: '0 of 1' } as const;

describe('setCondition', () => {
  it('moves the transition time only when the status flips, not when reason or message change', () => {
    const first = setCondition([], notReady, 1, early);
    const second = setCondition(first, { ...notReady, reason: 'CrashLooping', message: 'again' }, 2, late);
    expect(second).toEqual([
      { ...notReady, reason: 'CrashLooping', message: 'again', lastTransitionTime: early, observedGeneration: 2 },
    ]);
    const third = setCondition(second, { ...notReady, status: 'True' }, 2, late);
    expect(third[0]?.lastTransitionTime).toBe(late);
  });

  it('cuts a message that Kubernetes would refuse', () => {
    const [condition] = setCondition([], { ...notReady, message: 'x'.repeat(100_000) }, 1, early);
    expect(condition?.message.length).toBe(2048);
  });
});

describe('kstatus', () => {
  const status = (...conditions: [string, 'True' | 'False'][]) => ({
    metadata: { generation: 2 },
    status: {
      observedGeneration: 2,
      conditions: conditions.map(([type, value]) => ({ ...notReady, type, status: value, lastTransitionTime: early })),
    },
  });

  it.each([
    ['a record that is ready', status(['Ready', 'True']), 'Current'],
    ['a record that works on it', status(['Ready', 'False'], ['Reconciling', 'True']), 'InProgress'],
    ['a record that cannot go on', status(['Ready', 'False'], ['Stalled', 'True']), 'Failed'],
    [
      'a record whose status is of an older generation',
      { ...status(['Ready', 'True']), metadata: { generation: 3 } },
      'InProgress',
    ],
    ['a record nobody looked at', { metadata: { generation: 1 }, status: { observedGeneration: -1 } }, 'InProgress'],
    ['a record that is going', { ...status(), metadata: { generation: 2, deletionTimestamp: late } }, 'Terminating'],
  ])('reads %s', (_, record, expected) => {
    expect(kstatus(record)).toBe(expected);
  });

  it('is not misled by a condition that was removed', () => {
    const { conditions } = status(['Ready', 'True'], ['Stalled', 'True']).status;
    expect(kstatus({ metadata: {}, status: { conditions: removeCondition(conditions, 'Stalled') } })).toBe('Current');
  });
});
