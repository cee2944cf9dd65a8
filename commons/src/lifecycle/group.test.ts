import { describe, expect, it } from 'vitest';
import { simulatedTime } from '../../testkit/index.ts';
import { oaasError } from '../errors/index.ts';
import { LifecycleGroup, type LifecycleMember } from './index.ts';

function setup() {
  const time = simulatedTime();
  const events: string[] = [];
  const member = (name: string, override: Partial<LifecycleMember> = {}): LifecycleMember => ({
    name,
    start: () => void events.push(`start ${name}`),
    stop: () => void events.push(`stop ${name}`),
    ...override,
  });
  return { ...time, events, member, group: new LifecycleGroup({ timers: time.timers }) };
}

describe('a lifecycle group', () => {
  it('starts in order and stops in reverse, once', async () => {
    const { group, member, events } = setup();
    group.add(member('store')).add(member('server'));
    await group.start();
    await Promise.all([group.stop(), group.stop()]);
    expect(events).toEqual(['start store', 'start server', 'stop server', 'stop store']);
  });

  it('stops what had started, and names the culprit, when a member does not start', async () => {
    const { group, member, events } = setup();
    const start = () => Promise.reject(oaasError('PortInUse', 'port 80 is taken'));
    group.add(member('store')).add(member('server', { start })).add(member('late'));
    await expect(group.start()).rejects.toMatchObject({
      code: 'PortInUse',
      message: 'server did not start: port 80 is taken',
    });
    expect(events).toEqual(['start store', 'stop store']);
  });

  it('gives a start that takes too long up and aborts it', async () => {
    const { group, member, advance } = setup();
    let signal: AbortSignal | undefined;
    const start = (given: AbortSignal) => {
      signal = given;
      return new Promise<void>(() => undefined);
    };
    group.add(member('slow', { start, timeoutMs: 100 }));
    const failed = expect(group.start()).rejects.toMatchObject({ code: 'DeadlineExceeded' });
    await advance(100);
    await failed;
    expect(signal?.aborted).toBe(true);
  });

  it('reaches every member at the stop, whatever the others do, and names those that failed', async () => {
    const { group, member, events, advance } = setup();
    group
      .add(member('first'))
      .add(member('throws', { stop: () => Promise.reject(new Error('no')) }))
      .add(member('hangs', { stop: () => new Promise<void>(() => undefined), timeoutMs: 50 }));
    await group.start();
    const failed = expect(group.stop()).rejects.toThrow(/hangs did not stop: .*; throws did not stop: no/);
    await advance(50);
    await failed;
    expect(events).toContain('stop first');
  });

  it('that is stopped in the middle of its start stops what has started and starts no more', async () => {
    const { group, member, events, advance } = setup();
    let finish: () => void = () => undefined;
    const start = () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      });
    group.add(member('store', { start })).add(member('server'));
    const started = expect(group.start()).rejects.toMatchObject({ code: 'Cancelled' });
    await advance(0);
    const stopped = group.stop();
    finish();
    await started;
    await stopped;
    expect(events).toEqual(['stop store']);
  });
});
