'use client';

import { cn } from '../../ui/cn.ts';
import { formatAge } from '../../ui/format.ts';
import { useNow } from '../../ui/now.tsx';
import { Tooltip } from '../../ui/tooltip.tsx';
import type { LiveState } from './connection.ts';
import { useLive } from './provider.tsx';

const words: Record<LiveState, { word: string; explanation: string; dot: string }> = {
  connecting: { word: 'Connecting', explanation: 'Opening the stream of changes.', dot: 'bg-idle' },
  live: { word: 'Live', explanation: 'Changes appear as they happen.', dot: 'bg-ok' },
  reconnecting: {
    word: 'Reconnecting',
    explanation: 'The stream of changes broke; it is being opened again.',
    dot: 'bg-warn',
  },
  polling: {
    word: 'Polling',
    explanation: 'The stream of changes does not open; everything in sight is read every 5 s instead.',
    dot: 'bg-warn',
  },
};

/** Whether what is on the screen is true now, and since when not. */
export function LiveBadge() {
  const { state, heardAt } = useLive();
  const now = useNow();
  const { word, explanation, dot } = words[state];
  const age = heardAt === null || state === 'live' ? null : formatAge(heardAt, now);
  return (
    <Tooltip
      content={`${explanation}${heardAt === null ? '' : ` Last word from the server: ${formatAge(heardAt, now)}.`}`}
    >
      <button
        type="button"
        data-testid="live-badge"
        data-live={state}
        className="flex h-7 items-center gap-2 rounded-full border bg-surface px-2.5 text-xs font-medium text-ink-2"
      >
        <span className={cn('relative size-1.5 rounded-full', dot)}>
          {state === 'live' ? (
            // Says that it has just come alive, and then rests: what moves for ever costs a machine without a GPU a core.
            <span className="absolute inset-0 animate-ping rounded-full bg-ok [animation-duration:1.6s] [animation-iteration-count:3] motion-reduce:hidden" />
          ) : null}
        </span>
        <span role="status">{word}</span>
        {age === null ? null : <span className="text-ink-3">{age}</span>}
      </button>
    </Tooltip>
  );
}
