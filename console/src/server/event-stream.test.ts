import { describe, expect, it } from 'vitest';
import { systemTimers } from '@oaas/commons/time/system';
import type { Timers } from '@oaas/commons/time';
import { startFixturePm } from '../../testkit/fixture-pm.ts';
import { streamPmEvents, withHeartbeat } from './event-stream.ts';

/** A timer that ticks when told to. */
function manualTimers() {
  const runs = new Set<() => void>();
  const timers: Timers = {
    after: () => ({ cancel: () => undefined }),
    every: (_ms, run) => {
      runs.add(run);
      return { cancel: () => void runs.delete(run) };
    },
  };
  return { timers, tick: () => runs.forEach((run) => run()), active: () => runs.size };
}

const text = async (reader: ReadableStreamDefaultReader<Uint8Array>) => {
  const { value, done } = await reader.read();
  return done ? null : new TextDecoder().decode(value);
};

describe('the stream of events', () => {
  it('brings what PM says to the browser', async () => {
    const pm = await startFixturePm({ fleet: 0 });
    const stop = new AbortController();
    const request = new Request('http://console/api/events', { signal: stop.signal });
    const response = await streamPmEvents({ pmUrl: pm.url, pmToken: pm.token }, request, systemTimers);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const reader = response.body!.getReader();
    expect(await text(reader)).toContain('event: heartbeat');
    expect(await text(reader)).toContain('retry:');
    pm.emit('source', 'gitops');
    expect(await text(reader)).toContain('"key":"gitops"');
    await reader.cancel();
    stop.abort();
    await pm.close();
  });

  it('a PM that is not there ends the try, so that the browser polls and tries again', async () => {
    const pm = await startFixturePm({ fleet: 0 });
    await pm.close();
    const response = await streamPmEvents({ pmUrl: pm.url, pmToken: '' }, new Request('http://console/'), systemTimers);
    expect(response.status).toBe(503);
  });

  it('puts a heartbeat between two events and never into one', async () => {
    const manual = manualTimers();
    let source!: ReadableStreamDefaultController<Uint8Array>;
    const upstream = new ReadableStream<Uint8Array>({ start: (controller) => void (source = controller) });
    const reader = withHeartbeat(upstream, manual.timers, () => undefined).getReader();
    const bytes = (part: string) => new TextEncoder().encode(part);
    expect(await text(reader)).toContain('heartbeat');

    source.enqueue(bytes('data: half'));
    expect(await text(reader)).toBe('data: half');
    const rest = text(reader);
    manual.tick();
    source.enqueue(bytes(' whole\n\n'));
    expect(await rest).toBe(' whole\n\n');
    const beat = text(reader);
    manual.tick();
    expect(await beat).toContain('heartbeat');
  });

  it('stops its timer and lets PM go when the browser leaves', async () => {
    const manual = manualTimers();
    let left = false;
    const stream = withHeartbeat(new ReadableStream<Uint8Array>(), manual.timers, () => void (left = true));
    expect(manual.active()).toBe(1);
    await stream.cancel();
    expect(manual.active()).toBe(0);
    expect(left).toBe(true);
  });
});
