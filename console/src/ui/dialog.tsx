'use client';

import { X } from 'lucide-react';
import { Dialog as Radix } from 'radix-ui';
import { useRef } from 'react';
import { Button } from './button.tsx';
import { cn } from './cn.ts';

interface DialogProps {
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
  readonly title: React.ReactNode;
  readonly description?: React.ReactNode;
  readonly children: React.ReactNode;
  readonly footer?: React.ReactNode;
  readonly className?: string;
}

const overlay = 'fixed inset-0 z-40 bg-black/40 animate-in fade-in-0 duration-150';

/**
 * For the content of a dialog that is opened by whoever holds its state: Radix gives the focus back to a trigger of its own
 * only. A form begins at its first field, not at the button that closes it.
 */
export function useDialogFocus() {
  const opener = useRef<Element | null>(null);
  return {
    onOpenAutoFocus: (event: Event) => {
      opener.current = document.activeElement;
      const content = event.currentTarget;
      const field =
        content instanceof HTMLElement ? content.querySelector<HTMLElement>('input, select, textarea') : null;
      if (field === null) return;
      event.preventDefault();
      field.focus();
    },
    onCloseAutoFocus: (event: Event) => {
      event.preventDefault();
      if (opener.current instanceof HTMLElement) opener.current.focus();
    },
  };
}

/** A modal question or form in the middle of the screen. */
export function Dialog({ open, onOpenChange, title, description, children, footer, className }: DialogProps) {
  const focus = useDialogFocus();
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className={overlay} />
        <Radix.Content
          {...focus}
          {...(description === undefined ? { 'aria-describedby': undefined } : {})}
          className={cn(
            'fixed top-[8vh] left-1/2 z-50 flex max-h-[84vh] w-[calc(100vw-2rem)] max-w-lg -translate-x-1/2 flex-col overflow-hidden rounded-lg border bg-surface shadow-float animate-in fade-in-0 zoom-in-[0.98] duration-150',
            className,
          )}
        >
          <Header title={title} description={description} />
          <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4">{children}</div>
          {footer === undefined ? null : (
            <div className="flex flex-wrap items-center justify-end gap-2 border-t bg-sunken px-5 py-3">{footer}</div>
          )}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

/** A panel from the right edge: details beside the list that they belong to. */
export function Drawer({ open, onOpenChange, title, description, children, className }: DialogProps) {
  const focus = useDialogFocus();
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className={overlay} />
        <Radix.Content
          {...focus}
          {...(description === undefined ? { 'aria-describedby': undefined } : {})}
          className={cn(
            'fixed inset-y-0 right-0 z-50 flex w-full max-w-md flex-col border-l bg-surface shadow-float animate-in slide-in-from-right-8 fade-in-0 duration-200',
            className,
          )}
        >
          <Header title={title} description={description} />
          <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4">{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

function Header({ title, description }: Pick<DialogProps, 'title' | 'description'>) {
  return (
    <header className="flex items-start gap-3 border-b px-5 py-3.5">
      <div className="min-w-0 flex-1">
        <Radix.Title className="text-lg font-semibold tracking-tight break-words">{title}</Radix.Title>
        {description === undefined ? null : (
          <Radix.Description className="mt-0.5 text-xs text-ink-2">{description}</Radix.Description>
        )}
      </div>
      <Radix.Close asChild>
        <Button aria-label="Close" kind="ghost" size="icon" className="-mr-2">
          <X aria-hidden="true" />
        </Button>
      </Radix.Close>
    </header>
  );
}
