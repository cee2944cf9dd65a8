'use client';

import { ChevronDown } from 'lucide-react';
import { useId } from 'react';
import { cn } from './cn.ts';

export const boxStyle =
  'h-8 w-full min-w-0 rounded-md border border-line-strong bg-surface px-2.5 text-sm text-ink shadow-card placeholder:text-ink-3 aria-invalid:border-bad max-sm:text-lg';

export function Input({ className, ...rest }: React.ComponentProps<'input'>) {
  return <input className={cn(boxStyle, className)} {...rest} />;
}

export function Select({ className, children, ...rest }: React.ComponentProps<'select'>) {
  return (
    <span className={cn('relative inline-flex', className)}>
      <select className={cn(boxStyle, 'appearance-none pr-8')} {...rest}>
        {children}
      </select>
      <ChevronDown className="pointer-events-none absolute top-2 right-2 size-4 text-ink-3" aria-hidden="true" />
    </span>
  );
}

/** A label, its control, a hint and what is wrong with it. The control gets the ids that tie them together. */
export function Field({
  label,
  hint,
  error,
  children,
  className,
}: {
  readonly label: string;
  readonly hint?: React.ReactNode;
  readonly error?: string | undefined;
  readonly className?: string;
  readonly children: (ids: {
    readonly id: string;
    readonly 'aria-describedby': string | undefined;
    readonly 'aria-invalid': boolean | undefined;
  }) => React.ReactNode;
}) {
  const id = useId();
  const note = error ?? hint;
  return (
    <div className={cn('flex min-w-0 flex-col gap-1', className)}>
      <label htmlFor={id} className="text-xs font-medium text-ink-2">
        {label}
      </label>
      {children({
        id,
        'aria-describedby': note === undefined ? undefined : `${id}-note`,
        'aria-invalid': error === undefined ? undefined : true,
      })}
      {note === undefined ? null : (
        <p id={`${id}-note`} className={cn('text-xs', error === undefined ? 'text-ink-3' : 'text-bad')}>
          {note}
        </p>
      )}
    </div>
  );
}
