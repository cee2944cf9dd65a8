'use client';

import { platformEventSchema, type PlatformEvent } from '@oaas/commons/client/pm';
import { useQueryClient } from '@tanstack/react-query';
import { createContext, use, useEffect, useState } from 'react';
import { useNow } from '../../ui/now.tsx';
import { staleAfterAll } from '../data/keys.ts';
import { liveState, pollMs, reconnectDelay, silenceMs, type LiveState } from './connection.ts';

interface Live {
  readonly state: LiveState;
  /** When the stream last gave a sign of life or a poll ended; null before the first. */
  readonly heardAt: number | null;
}

const LiveContext = createContext<Live>({ state: 'connecting', heardAt: null });

export function useLive(): Live {
  return use(LiveContext);
}

interface Stream {
  readonly open: boolean;
  readonly everOpen: boolean;
  readonly downSinceMs: number | null;
  readonly heardAt: number | null;
}

/** Events are gathered this long, so that a commit of a thousand packages reads each list once, not a thousand times. */
const gatherMs = 250;
const topics = ['source', 'plan', 'run', 'package', 'record', 'cluster', 'reset'];

/** One event stream per tab; what it names is read anew. Where it does not flow, everything in sight is read every few seconds. */
export function LiveProvider({ children }: { readonly children: React.ReactNode }) {
  const queries = useQueryClient();
  const now = useNow();
  const [stream, setStream] = useState<Stream>({ open: false, everOpen: false, downSinceMs: null, heardAt: null });

  useEffect(() => {
    let source: EventSource | undefined;
    let waiting: PlatformEvent[] = [];
    let flushTimer: ReturnType<typeof setTimeout> | undefined;
    let retryTimer: ReturnType<typeof setTimeout> | undefined;
    let failures = 0;
    let heard = Date.now();
    let missed = false;

    const flush = () => {
      flushTimer = undefined;
      const stale = staleAfterAll(waiting);
      waiting = [];
      if (stale === null) void queries.invalidateQueries();
      else for (const queryKey of stale) void queries.invalidateQueries({ queryKey });
    };
    const alive = () => {
      heard = Date.now();
      failures = 0;
      setStream((last) => ({ ...last, open: true, everOpen: true, downSinceMs: null, heardAt: heard }));
      if (missed) void queries.invalidateQueries();
      missed = false;
    };
    const onEvent = (message: MessageEvent<string>) => {
      alive();
      const parsed = platformEventSchema.safeParse(readJson(message.data));
      if (!parsed.success) return;
      waiting.push(parsed.data);
      flushTimer ??= setTimeout(flush, gatherMs);
    };
    const broken = () => {
      source?.close();
      failures += 1;
      missed = true;
      setStream((last) => ({ ...last, open: false, downSinceMs: last.downSinceMs ?? Date.now() }));
      clearTimeout(retryTimer);
      retryTimer = setTimeout(open, reconnectDelay(failures));
    };
    const open = () => {
      source = new EventSource('/api/events');
      source.onerror = broken;
      source.addEventListener('heartbeat', alive);
      source.addEventListener('message', onEvent);
      for (const topic of topics) source.addEventListener(topic, onEvent);
    };
    open();
    const watchdog = setInterval(() => {
      if (source?.readyState === EventSource.OPEN && Date.now() - heard > silenceMs) broken();
    }, 5000);
    return () => {
      source?.close();
      clearTimeout(flushTimer);
      clearTimeout(retryTimer);
      clearInterval(watchdog);
    };
  }, [queries]);

  const state = liveState({ ...stream, nowMs: now });
  useEffect(() => {
    if (state !== 'polling') return;
    const readAll = async () => {
      await queries.invalidateQueries();
      const active = queries.getQueryCache().findAll({ type: 'active' });
      if (active.every((query) => query.state.status !== 'error')) {
        setStream((last) => ({ ...last, heardAt: Date.now() }));
      }
    };
    void readAll();
    const poll = setInterval(() => void readAll(), pollMs);
    return () => clearInterval(poll);
  }, [state, queries]);

  return <LiveContext value={{ state, heardAt: stream.heardAt }}>{children}</LiveContext>;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
