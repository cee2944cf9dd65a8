import { cn } from './cn.ts';

/** A surface with an optional heading line. */
export function Panel({
  title,
  actions,
  children,
  className,
  flush,
}: {
  readonly title?: React.ReactNode;
  readonly actions?: React.ReactNode;
  readonly children: React.ReactNode;
  readonly className?: string;
  /** The content reaches the edges: tables, lists. */
  readonly flush?: boolean;
}) {
  return (
    <section
      className={cn('flex min-w-0 flex-col overflow-hidden rounded-lg border bg-surface shadow-card', className)}
    >
      {title === undefined ? null : (
        <header className="flex min-h-10 flex-wrap items-center gap-x-2 gap-y-1 border-b px-4 py-1.5">
          <h2 className="max-w-full flex-auto text-sm font-semibold">{title}</h2>
          {actions}
        </header>
      )}
      <div className={cn('min-h-0 min-w-0 flex-1', flush !== true && 'p-4')}>{children}</div>
    </section>
  );
}

/** The head of a page: what it is, its state, what can be done. */
export function PageHeader({
  title,
  status,
  subtitle,
  actions,
}: {
  readonly title: React.ReactNode;
  readonly status?: React.ReactNode;
  readonly subtitle?: React.ReactNode;
  readonly actions?: React.ReactNode;
}) {
  return (
    <div className="flex flex-wrap items-start gap-x-4 gap-y-3">
      <div className="min-w-0 flex-1 basis-72">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <h1 className="text-xl font-semibold tracking-tight break-all">{title}</h1>
          {status}
        </div>
        {subtitle === undefined ? null : (
          <div className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1 text-ink-2">{subtitle}</div>
        )}
      </div>
      {actions === undefined ? null : <div className="flex flex-wrap items-center gap-2">{actions}</div>}
    </div>
  );
}

/** Name and value pairs. */
export function Facts({
  facts,
  className,
}: {
  readonly facts: readonly { readonly name: string; readonly value: React.ReactNode }[];
  readonly className?: string;
}) {
  return (
    <dl className={cn('grid grid-cols-[max-content_minmax(0,1fr)] gap-x-6 gap-y-2', className)}>
      {facts.map(({ name, value }) => (
        <div key={name} className="contents">
          <dt className="text-ink-3">{name}</dt>
          <dd className="min-w-0 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
