// @vitest-environment jsdom
import { useQuery } from '@tanstack/react-query';
import { act, cleanup, screen, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startFixturePm, type FixturePm } from '../../../testkit/fixture-pm.ts';
import { renderConsole } from '../../../testkit/render.tsx';
import { keys } from '../data/keys.ts';
import { usePm } from '../data/provider.tsx';
import { LiveProvider, useLive } from './provider.tsx';

/** The browser's end of the stream; jsdom has none. */
class ManualEventSource extends EventTarget {
  static readonly OPEN = 1;
  static readonly all: ManualEventSource[] = [];
  readyState = 1;
  onerror: (() => void) | null = null;
  constructor() {
    super();
    ManualEventSource.all.push(this);
  }
  close(): void {
    this.readyState = 2;
  }
  say(name: string, data: unknown): void {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data) }));
  }
}

function Probe() {
  const pm = usePm();
  const { state } = useLive();
  const source = useQuery({
    queryKey: keys.source('gitops'),
    queryFn: ({ signal }) => pm.getSource('gitops', signal),
    staleTime: Infinity,
  });
  return (
    <p>
      {state} {source.data?.message}
    </p>
  );
}

let pm: FixturePm;
beforeEach(async () => {
  ManualEventSource.all.length = 0;
  vi.stubGlobal('EventSource', ManualEventSource);
  pm = await startFixturePm({ fleet: 0 });
});
afterEach(async () => {
  cleanup();
  vi.unstubAllGlobals();
  await pm.close();
});

const change = (message: string) => {
  const index = pm.fixtures.sources.findIndex((source) => source.name === 'gitops');
  pm.fixtures.sources[index] = { ...pm.fixtures.sources[index]!, message };
};

describe('the live provider', () => {
  it('reads anew what an event names, and only then', async () => {
    renderConsole(
      pm,
      <LiveProvider>
        <Probe />
      </LiveProvider>,
    );
    const stream = ManualEventSource.all[0]!;
    act(() => stream.say('heartbeat', {}));
    await waitFor(() => expect(screen.getByText(/^live edge has it/)).toBeTruthy());
    change('Every cluster has it.');
    act(() => stream.say('source', { topic: 'source', action: 'modified', key: 'gitops', at: '2026-01-01T00:00:00Z' }));
    await waitFor(() => expect(screen.getByText('live Every cluster has it.')).toBeTruthy());
  });

  it('a broken stream is told at once, and what was missed is read when it is back', async () => {
    renderConsole(
      pm,
      <LiveProvider>
        <Probe />
      </LiveProvider>,
    );
    const first = ManualEventSource.all[0]!;
    act(() => first.say('heartbeat', {}));
    await waitFor(() => expect(screen.getByText(/^live edge/)).toBeTruthy());
    act(() => first.onerror?.());
    expect(screen.getByText(/^reconnecting/)).toBeTruthy();
    change('Changed while nobody listened.');
    await waitFor(() => expect(ManualEventSource.all).toHaveLength(2), { timeout: 5000 });
    act(() => ManualEventSource.all[1]!.say('heartbeat', {}));
    await waitFor(() => expect(screen.getByText('live Changed while nobody listened.')).toBeTruthy());
  });
});
