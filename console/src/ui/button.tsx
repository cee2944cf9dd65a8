'use client';

import type { VariantProps } from 'class-variance-authority';
import { LoaderCircle } from 'lucide-react';
import { buttonStyle } from './button-style.ts';
import { cn } from './cn.ts';
import { Tooltip } from './tooltip.tsx';

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
