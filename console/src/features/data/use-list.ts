'use client';

import type { ListQuery, Page } from '@oaas/commons/client/pm';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import type { TablePage } from '../../ui/data-table.tsx';
import type { ListState } from '../../ui/list-state.ts';
import { failureOf } from './failure.ts';

export const pageSize = 50;

export function listQuery(state: ListState, limit = pageSize): ListQuery {
  return {
    limit,
    ...(state.cursor === null ? {} : { cursor: state.cursor }),
    ...(state.sort === '' ? {} : { sort: state.sort }),
    ...(state.q === '' ? {} : { q: state.q }),
    filter: state.filter,
  };
}

/** One page of a list, in the form that the table shows. */
export function useList<Row>(
  state: ListState,
  key: (query: ListQuery) => readonly unknown[],
  read: (query: ListQuery, signal: AbortSignal) => Promise<Page<Row>>,
): TablePage<Row> {
  const query = listQuery(state);
  const result = useQuery({
    queryKey: key(query),
    queryFn: ({ signal }) => read(query, signal),
    placeholderData: keepPreviousData,
  });
  return {
    rows: result.data?.items,
    total: result.data?.total ?? 0,
    nextCursor: result.data?.nextCursor ?? null,
    refreshing: result.isPlaceholderData,
    failure: result.error === null ? null : failureOf(result.error),
    readAt: result.dataUpdatedAt,
    retry: () => void result.refetch(),
  };
}
