import { oaasError } from '@oaas/commons/errors';
import { simulatedTime } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import { type EventInput, EventRecorder, type EventSink } from './events.ts';

const event: EventInput = {
  regarding: { apiVersion: 'v1', kind: 'Thing', name: 'x', namespace: 'ns', uid: 'u1' },
  type: 'Warning',
  reason: 'Broken',
  action: 'Look',
  note: 'it is broken',
};

function setup(fails = false) {
  const time = simulatedTime();
  const written: string[] = [];
  const errors: string[] = [];
  const sink: EventSink = {
    create: (input) => {
      if (fails) return Promise.reject(oaasError('Unavailable', 'no server'));
      written.push(`create ${input.note}`);
      return Promise.resolve(`e${String(written.length)}`);
    },
    update: (_input, name, { count }) => {
      written.push(`update ${name} ${String(count)}`);
      return Promise.resolve();
    },
  };
  const recorder = new EventRecorder({ sink, clock: time.clock, onError: (error) => errors.push(error.message) });
  return { recorder, written, errors, advance: time.advance };
}

describe('EventRecorder', () => {
  it('counts the same event on the one that is there, and writes a different one', async () => {
    const { recorder, written } = setup();
    for (let count = 0; count < 3; count += 1) recorder.record(event);
    recorder.record({ ...event, note: 'something else' });
    await recorder.flush();
    expect(written.toSorted()).toEqual(['create it is broken', 'create something else', 'update e1 2', 'update e1 3']);
  });

  it('begins anew when the last of a series is long ago', async () => {
    const { recorder, written, advance } = setup();
    recorder.record(event);
    await recorder.flush();
    await advance(600_001);
    recorder.record(event);
    await recorder.flush();
    expect(written).toEqual(['create it is broken', 'create it is broken']);
  });

  it('loses events rather than memory when nobody takes them, and says how many', async () => {
    const { recorder, errors } = setup(true);
    for (let count = 0; count < 5000; count += 1) recorder.record({ ...event, note: String(count) });
    expect(recorder.dropped).toBeGreaterThan(0);
    await recorder.flush();
    expect(errors.length + recorder.dropped).toBe(5000);
  });
});
