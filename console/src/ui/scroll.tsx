import { cn } from './cn.ts';

/** A wide table on a narrow screen: scrolls sideways, by keyboard too. */
export function ScrollX({
  label,
  children,
  className,
}: {
  readonly label: string;
  readonly children: React.ReactNode;
  readonly className?: string;
}) {
  return (
    <div role="region" aria-label={label} tabIndex={0} className={cn('relative overflow-x-auto', className)}>
      {children}
    </div>
  );
}
