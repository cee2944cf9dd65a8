import type { Timers } from '@oaas/commons/time';
import { tokenRefused, unreachable, type Pm } from './pm-proxy.ts';

/** How often the stream says that it lives. Comments are invisible to an EventSource, so it is an event of its own. */
const heartbeatMs = 10_000;
const newLine = 10;

/** PM's server-sent events for one browser tab. Ends when either side goes away; the browser comes back by itself. */
export async function streamPmEvents(pm: Pm, request: Request, timers: Timers): Promise<Response> {
  const upstreamGone = new AbortController();
  const last = request.headers.get('last-event-id');
  let upstream: Response;
  try {
    upstream = await fetch(`${pm.pmUrl}/api/v1/events`, {
      headers: {
        accept: 'text/event-stream',
        authorization: `Bearer ${pm.pmToken}`,
        ...(last === null ? {} : { 'last-event-id': last }),
      },
      cache: 'no-store',
      signal: AbortSignal.any([request.signal, upstreamGone.signal]),
    });
  } catch {
    return unreachable();
  }
  if (upstream.status === 401) return tokenRefused();
  if (!upstream.ok || upstream.body === null) return unreachable();

  return new Response(
    withHeartbeat(upstream.body, timers, () => upstreamGone.abort()),
    {
      headers: {
        'content-type': 'text/event-stream; charset=utf-8',
        // no-transform: a compressing proxy would hold events back.
        'cache-control': 'no-store, no-transform',
        'x-accel-buffering': 'no',
      },
    },
  );
}

/** Passes bytes on; between two events, and only there, it may put a heartbeat. */
export function withHeartbeat(
  source: ReadableStream<Uint8Array>,
  timers: Timers,
  onCancel: () => void,
): ReadableStream<Uint8Array> {
  const beat = new TextEncoder().encode('event: heartbeat\ndata: {}\n\n');
  const reader = source.getReader();
  let betweenEvents = true;
  let timer: ReturnType<Timers['every']> | undefined;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(beat);
      timer = timers.every(heartbeatMs, () => {
        // A browser that does not read gets no heartbeats piled up.
        if (betweenEvents && (controller.desiredSize ?? 0) > 0) controller.enqueue(beat);
      });
    },
    async pull(controller) {
      try {
        const part = await reader.read();
        if (part.done) {
          timer?.cancel();
          controller.close();
          return;
        }
        betweenEvents = part.value.at(-1) === newLine && part.value.at(-2) === newLine;
        controller.enqueue(part.value);
      } catch (error) {
        timer?.cancel();
        controller.error(error);
      }
    },
    cancel() {
      timer?.cancel();
      onCancel();
    },
  });
}
