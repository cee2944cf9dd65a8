'use client';

import { Search } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { cn } from './cn.ts';
import { boxStyle } from './field.tsx';

/**
 * A search whose text lives in the address. The field belongs to the browser: what is typed stays, whether the page's scripts do
 * not run yet or the address follows late. Only what changes the address from elsewhere, such as "clear" and the way back,
 * changes the text.
 */
export function SearchInput({
  label,
  value,
  onChange,
  className,
}: {
  readonly label: string;
  readonly value: string;
  readonly onChange: (text: string) => void;
  readonly className?: string;
}) {
  const input = useRef<HTMLInputElement>(null);
  const seen = useRef<string | null>(null);
  /** Texts that were handed on and have not come back by the address. */
  const sent = useRef<string[]>([]);
  const send = (text: string) => {
    sent.current.push(text);
    onChange(text);
  };
  useEffect(() => {
    const field = input.current;
    if (field === null || seen.current === value) return;
    const isFirst = seen.current === null;
    seen.current = value;
    if (isFirst) {
      if (field.value !== value) send(field.value);
      return;
    }
    const echo = sent.current.lastIndexOf(value);
    if (echo === -1) field.value = value;
    sent.current = echo === -1 ? [] : sent.current.slice(echo + 1);
  });
  return (
    <div className={cn('relative', className)}>
      <Search className="pointer-events-none absolute top-2 left-2.5 size-4 text-ink-3" aria-hidden="true" />
      <input
        ref={input}
        type="search"
        aria-label={label}
        placeholder={label}
        defaultValue={value}
        onChange={(event) => send(event.target.value)}
        className={cn(boxStyle, 'pl-8')}
        autoComplete="off"
        data-search
      />
    </div>
  );
}
