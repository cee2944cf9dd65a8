'use client';

import type { ListQuery, Page, PmClient } from '@oaas/commons/client/pm';
import type { RowData } from '@tanstack/react-table';
import { DataTable, type Columns } from '../../ui/data-table.tsx';
import { withFilter, withQuery, type ListSpec } from '../../ui/list-state.ts';
import { PageHeader } from '../../ui/panel.tsx';
import { SearchInput } from '../../ui/search-input.tsx';
import { useListState } from '../../ui/use-search.ts';
import type { Key } from './keys.ts';
import { usePm } from './provider.tsx';
import { useList } from './use-list.ts';

/** The exact filters of a list. The empty value is "any". */
export interface Filters {
  readonly get: (name: string) => string;
  readonly set: (name: string, value: string) => void;
}

interface ListPageProps<Row extends RowData> {
  readonly title: string;
  readonly subtitle: string;
  readonly actions?: React.ReactNode;
  /** Plural, such as "sources". */
  readonly noun: string;
  readonly spec: ListSpec;
  readonly queryKey: (query: ListQuery) => Key;
  readonly read: (pm: PmClient, query: ListQuery, signal: AbortSignal) => Promise<Page<Row>>;
  readonly columns: Columns<Row>;
  readonly rowId: (row: Row) => string;
  readonly filters?: (filters: Filters) => React.ReactNode;
  /** What to show when there is nothing at all. */
  readonly empty: React.ReactNode;
  /** What belongs to the rows in sight, such as the details of one. */
  readonly children?: (rows: readonly Row[]) => React.ReactNode;
}

/** A page that is one list: its heading, a search, its filters, and the table; what it shows stands in the address. */
export function ListPage<Row extends RowData>({
  title,
  subtitle,
  actions,
  noun,
  spec,
  queryKey,
  read,
  columns,
  rowId,
  filters,
  empty,
  children,
}: ListPageProps<Row>) {
  const pm = usePm();
  const [state, setState] = useListState(spec);
  const page = useList(state, queryKey, (query, signal) => read(pm, query, signal));
  return (
    <>
      <PageHeader title={title} subtitle={subtitle} actions={actions} />
      <DataTable
        label={title}
        noun={noun}
        columns={columns}
        page={page}
        rowId={rowId}
        state={state}
        onState={setState}
        toolbar={
          <>
            <SearchInput
              label={`Search ${noun}`}
              className="w-64 max-sm:w-full"
              value={state.q}
              onChange={(text) => setState(withQuery(state, text))}
            />
            {filters?.({
              get: (name) => state.filter[name] ?? '',
              set: (name, value) => setState(withFilter(state, name, value)),
            })}
          </>
        }
        empty={empty}
      />
      {children?.(page.rows ?? [])}
    </>
  );
}
