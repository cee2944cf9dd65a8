'use client';

import { cva, type VariantProps } from 'class-variance-authority';
import { LoaderCircle } from 'lucide-react';
import { cn } from './cn.ts';
import { Tooltip } from './tooltip.tsx';

export const buttonStyle = cva(
  'inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md font-medium whitespace-nowrap transition-colors select-none aria-disabled:cursor-not-allowed aria-disabled:opacity-50 [&_svg]:shrink-0',
  {
    variants: {
      kind: {
        primary: 'bg-accent text-on-accent hover:not-aria-disabled:bg-accent-strong',
        secondary: 'border border-line-strong bg-surface text-ink shadow-card hover:not-aria-disabled:bg-hover',
        ghost: 'text-ink-2 hover:not-aria-disabled:bg-hover hover:not-aria-disabled:text-ink',
        danger: 'bg-bad text-canvas hover:not-aria-disabled:brightness-90',
      },
      size: {
        sm: 'h-7 px-2 text-xs [&_svg]:size-3.5',
        md: 'h-8 px-3 text-sm [&_svg]:size-4',
        icon: 'size-8 [&_svg]:size-4',
        'icon-sm': 'size-6 [&_svg]:size-3.5',
      },
    },
    defaultVariants: { kind: 'secondary', size: 'md' },
  },
);

interface ButtonProps extends Omit<React.ComponentProps<'button'>, 'disabled'>, VariantProps<typeof buttonStyle> {
  /** Why the button does nothing now. It stays in the tab order, so that everybody can read the reason. */
  readonly disabledReason?: string | null | undefined;
  readonly busy?: boolean | undefined;
}

export function Button({ kind, size, className, disabledReason, busy, children, onClick, type, ...rest }: ButtonProps) {
  const reason = disabledReason ?? null;
  const off = reason !== null || busy === true;
  const button = (
    <button
      type={off ? 'button' : (type ?? 'button')}
      aria-disabled={off ? true : undefined}
      aria-busy={busy === true ? true : undefined}
      className={cn(buttonStyle({ kind, size }), className)}
      onClick={off ? (event) => event.preventDefault() : onClick}
      {...rest}
    >
      {busy === true ? <LoaderCircle className="animate-spin" aria-hidden="true" /> : null}
      {children}
    </button>
  );
  return reason === null ? button : <Tooltip content={reason}>{button}</Tooltip>;
}

/** A square button with an icon only; its label is read out and shown on hover. */
export function IconButton({
  label,
  size = 'icon',
  kind = 'ghost',
  ...rest
}: Omit<ButtonProps, 'aria-label'> & { readonly label: string }) {
  const button = <Button aria-label={label} size={size} kind={kind} {...rest} />;
  // A disabled one brings a tooltip of its own: the reason.
  return (rest.disabledReason ?? null) === null ? <Tooltip content={label}>{button}</Tooltip> : button;
}
