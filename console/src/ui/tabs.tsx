'use client';

import { Tabs as Radix } from 'radix-ui';
import { formatCompact } from './format.ts';

export interface Tab {
  readonly id: string;
  readonly label: string;
  readonly count?: number | undefined;
  readonly mark?: React.ReactNode;
  readonly content: React.ReactNode;
}

/** Tabs whose choice the caller keeps, usually in the address; the first one stands in for a choice that is none. */
export function Tabs({
  label,
  tabs,
  value,
  onChange,
}: {
  readonly label: string;
  readonly tabs: readonly Tab[];
  readonly value: string;
  readonly onChange: (id: string) => void;
}) {
  const chosen = tabs.some(({ id }) => id === value) ? value : (tabs[0]?.id ?? value);
  return (
    <Radix.Root value={chosen} onValueChange={onChange}>
      <Radix.List aria-label={label} className="flex gap-5 overflow-x-auto border-b [scrollbar-width:none]">
        {tabs.map((tab) => (
          <Radix.Trigger
            key={tab.id}
            value={tab.id}
            className="-mb-px flex h-9 items-center gap-1.5 border-b-2 border-transparent text-sm font-medium whitespace-nowrap text-ink-2 hover:text-ink data-[state=active]:border-accent data-[state=active]:text-ink"
          >
            {tab.mark}
            {tab.label}
            {tab.count === undefined ? null : (
              <span className="rounded-sm bg-idle-soft px-1 text-2xs text-ink-2">{formatCompact(tab.count)}</span>
            )}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => (
        <Radix.Content key={tab.id} value={tab.id} className="pt-4" tabIndex={-1}>
          {tab.content}
        </Radix.Content>
      ))}
    </Radix.Root>
  );
}
