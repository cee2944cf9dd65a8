'use client';

import { useSearchParams } from 'next/navigation';
import { useCallback, useMemo } from 'react';
import { formatListState, parseListState, type ListSpec, type ListState } from './list-state.ts';

/** Changes the address without asking the server for the page again. */
function go(search: string, push: boolean): void {
  const url = `${window.location.pathname}${search}`;
  if (push) window.history.pushState(null, '', url);
  else window.history.replaceState(null, '', url);
}

/** The list's state out of the address, and a setter that writes it there. Turning a page makes an entry in the history. */
export function useListState(spec: ListSpec): readonly [ListState, (next: ListState) => void] {
  const search = useSearchParams();
  const state = useMemo(() => parseListState(new URLSearchParams(search), spec), [search, spec]);
  const set = useCallback(
    (next: ListState) => {
      const current = new URLSearchParams(window.location.search);
      go(formatListState(next, spec, current), next.cursor !== null && next.cursor !== current.get('cursor'));
    },
    [spec],
  );
  return [state, set];
}

/** One parameter of the address, such as the chosen tab. The default is left out. */
export function useSearchValue(name: string, standard: string): readonly [string, (value: string) => void] {
  const search = useSearchParams();
  const set = useCallback(
    (value: string) => {
      const next = new URLSearchParams(window.location.search);
      if (value === standard) next.delete(name);
      else next.set(name, value);
      const text = next.toString();
      go(text === '' ? '' : `?${text}`, false);
    },
    [name, standard],
  );
  return [search.get(name) ?? standard, set];
}
