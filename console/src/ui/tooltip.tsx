'use client';

import { Tooltip as Radix } from 'radix-ui';

export const TooltipProvider = Radix.Provider;

/** A short explanation on hover and focus. The trigger must be able to take focus. */
export function Tooltip({
  content,
  children,
  side = 'top',
}: {
  readonly content: React.ReactNode;
  readonly children: React.ReactNode;
  readonly side?: 'top' | 'bottom' | 'left' | 'right';
}) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>{children}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          side={side}
          sideOffset={6}
          collisionPadding={8}
          className="z-50 max-w-xs rounded-md bg-ink px-2 py-1 text-xs text-canvas shadow-float animate-in fade-in-0 duration-100"
        >
          {content}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
