'use client';

import { formatAge } from './format.ts';
import { useNow } from './now.tsx';

const absolute = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

/** How long ago; the exact time on hover. */
export function Ago({ at, className }: { readonly at: string | null; readonly className?: string }) {
  const now = useNow();
  const ms = at === null ? Number.NaN : Date.parse(at);
  if (at === null || Number.isNaN(ms)) return <span className={className}>never</span>;
  return (
    <time dateTime={at} title={absolute.format(ms)} className={className} suppressHydrationWarning>
      {formatAge(ms, now)}
    </time>
  );
}
