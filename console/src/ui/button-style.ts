import { cva } from 'class-variance-authority';

/** How a button looks; also for links that act like one. */
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
