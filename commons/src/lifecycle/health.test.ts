import { describe, expect, it } from 'vitest';
import { simulatedTime } from '../../testkit/index.ts';
import { HealthRegistry } from './index.ts';

function setup() {
  const time = simulatedTime();
  return { ...time, health: new HealthRegistry({ timers: time.timers, timeoutMs: 100 }) };
}

describe('a health registry', () => {
  it('is healthy without checks, and keeps liveness apart from readiness', async () => {
    const { health } = setup();
    const gate = health.gate('readiness', 'store', 'the store opens');
    expect(await health.report('liveness')).toEqual({ ok: true, checks: [] });
    expect(await health.report('readiness')).toEqual({
      ok: false,
      checks: [{ name: 'store', ok: false, reason: 'the store opens' }],
    });
    gate.pass();
    expect((await health.report('readiness')).ok).toBe(true);
    gate.fail('the disk is gone');
    expect((await health.report('readiness')).checks[0]?.reason).toBe('the disk is gone');
    gate.remove();
    expect((await health.report('readiness')).checks).toEqual([]);
  });

  it('takes a check that throws or hangs for one that failed', async () => {
    const { health, advance, pending } = setup();
    health.register('liveness', 'throws', () => {
      throw new Error('broken');
    });
    health.register('liveness', 'hangs', () => new Promise(() => undefined));
    health.register('liveness', 'fine', () => ({ ok: true }));
    const report = health.report('liveness');
    await advance(100);
    expect(await report).toEqual({
      ok: false,
      checks: [
        { name: 'throws', ok: false, reason: 'broken' },
        { name: 'hangs', ok: false, reason: 'no answer within 100 ms' },
        { name: 'fine', ok: true },
      ],
    });
    expect(pending()).toBe(0);
  });

  it('refuses two checks of one name', () => {
    const { health } = setup();
    const remove = health.register('liveness', 'a', () => ({ ok: true }));
    expect(() => health.register('liveness', 'a', () => ({ ok: true }))).toThrow('already');
    remove();
    expect(() => health.register('liveness', 'a', () => ({ ok: true }))).not.toThrow();
  });

  it('tells a watcher the state at once and each change, until its signal ends it', async () => {
    const { health, advance, pending } = setup();
    const gate = health.gate('readiness', 'a', 'not yet');
    const abort = new AbortController();
    const seen: boolean[] = [];
    const watching = (async () => {
      const options = { intervalMs: 10, signal: abort.signal };
      for await (const report of health.watch('readiness', options)) seen.push(report.ok);
    })();
    await advance(50);
    gate.pass();
    await advance(50);
    expect(seen).toEqual([false, true]);
    abort.abort();
    await watching;
    expect(pending()).toBe(0);
  });
});
