'use client';

import { RefreshCw, Unplug } from 'lucide-react';
import { Button } from './button.tsx';
import { cn } from './cn.ts';
import { formatAge } from './format.ts';
import { useNow } from './now.tsx';
import { Glyph } from './status.tsx';

export function Skeleton({ className }: { readonly className?: string }) {
  return <div aria-hidden="true" className={cn('animate-pulse rounded-sm bg-hover', className)} />;
}

/** The rows of a panel that is still loading. */
export function SkeletonLines({ lines = 4, className }: { readonly lines?: number; readonly className?: string }) {
  return (
    <div className={cn('flex flex-col gap-3', className)} role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <Skeleton key={index} className={cn('h-4', ['w-3/4', 'w-full', 'w-1/2', 'w-5/6'][index % 4])} />
      ))}
    </div>
  );
}

/** Nothing is there, and that is not an error. */
export function Empty({
  title,
  children,
  action,
  icon,
  heading,
}: {
  readonly title: string;
  readonly children?: React.ReactNode;
  readonly action?: React.ReactNode;
  readonly icon?: React.ReactNode;
  /** It is all that the page has. */
  readonly heading?: boolean;
}) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-12 text-center">
      {icon === undefined ? null : <div className="mb-1 text-ink-3 [&_svg]:size-6">{icon}</div>}
      {heading === true ? <h1 className="text-base font-medium">{title}</h1> : <p className="font-medium">{title}</p>}
      {children === undefined ? null : <div className="max-w-md text-balance text-ink-2">{children}</div>}
      {action === undefined ? null : <div className="mt-2">{action}</div>}
    </div>
  );
}

export interface Failure {
  readonly title: string;
  readonly detail: string;
  readonly remedy: string | null;
}

/** Nothing could be read. */
export function Failed({ failure, onRetry }: { readonly failure: Failure; readonly onRetry: () => void }) {
  return (
    <div role="alert" className="flex flex-col items-center gap-2 px-6 py-12 text-center">
      <Unplug className="mb-1 size-6 text-bad" aria-hidden="true" />
      <p className="font-medium">{failure.title}</p>
      <p className="max-w-md break-words text-ink-2">{failure.detail}</p>
      {failure.remedy === null ? null : <p className="max-w-md text-ink-2">{failure.remedy}</p>}
      <Button className="mt-2" onClick={onRetry}>
        <RefreshCw aria-hidden="true" /> Try again
      </Button>
    </div>
  );
}

/** What is shown was true a while ago; it could not be read anew. */
export function StaleNotice({
  failure,
  readAt,
  onRetry,
}: {
  readonly failure: Failure;
  readonly readAt: number;
  readonly onRetry: () => void;
}) {
  const now = useNow();
  return (
    <div
      role="status"
      className="flex flex-wrap items-center gap-x-3 gap-y-1 rounded-md bg-warn-soft px-3 py-2 text-warn"
    >
      <Glyph tone="warn" />
      <span className="font-medium">This is how it was {formatAge(readAt, now)}.</span>
      <span className="min-w-0 flex-1 break-words">{failure.detail}</span>
      <button type="button" onClick={onRetry} className="font-medium underline underline-offset-2">
        Try again
      </button>
    </div>
  );
}

/** A note above the content that asks for attention, with what can be done about it. */
export function Banner({
  tone,
  title,
  children,
  action,
}: {
  readonly tone: 'warn' | 'bad' | 'hold' | 'idle' | 'busy';
  readonly title: React.ReactNode;
  readonly children?: React.ReactNode;
  readonly action?: React.ReactNode;
}) {
  const edge = {
    warn: 'border-l-warn',
    bad: 'border-l-bad',
    hold: 'border-l-hold',
    idle: 'border-l-line-strong',
    busy: 'border-l-busy',
  }[tone];
  return (
    <div
      className={cn(
        'flex flex-wrap items-center gap-x-4 gap-y-2 rounded-lg border border-l-3 bg-surface px-4 py-3 shadow-card',
        edge,
      )}
    >
      <Glyph tone={tone === 'idle' ? 'pause' : tone} className="size-4" />
      <div className="min-w-0 flex-1 basis-64">
        <p className="font-semibold">{title}</p>
        {children === undefined ? null : <div className="mt-0.5 break-words text-ink-2">{children}</div>}
      </div>
      {action}
    </div>
  );
}
