'use client';

import {
  createColumnHelper,
  metaHelper,
  tableFeatures,
  useTable,
  type ColumnDef,
  type RowData,
} from '@tanstack/react-table';
import { ArrowDown, ArrowUp, ChevronLeft, ChevronRight, ChevronsUpDown } from 'lucide-react';
import { useState } from 'react';
import { Button } from './button.tsx';
import { cn } from './cn.ts';
import { formatCount } from './format.ts';
import { withSort, type ListState } from './list-state.ts';
import { Empty, Failed, Skeleton, StaleNotice, type Failure } from './states.tsx';

interface ColumnMeta {
  /** Name of the server's field; absent: the column does not sort. */
  readonly sort?: string;
  readonly align?: 'end';
  /** Narrower screens leave the column out. */
  readonly from?: 'sm' | 'md' | 'lg' | 'xl';
  readonly className?: string;
}

export const features = tableFeatures({ columnMeta: metaHelper<ColumnMeta>() });
export type Features = typeof features;

/** Columns of a {@link DataTable}; keep the result outside of the component. */
export function columnsOf<Row extends RowData>() {
  return createColumnHelper<Features, Row>();
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- columns of different value types stand in one list
export type Columns<Row extends RowData> = ColumnDef<Features, Row, any>[];

export interface TablePage<Row> {
  readonly rows: readonly Row[] | undefined;
  readonly total: number;
  readonly nextCursor: string | null;
  /** A newer answer is on its way. */
  readonly refreshing: boolean;
  readonly failure: Failure | null;
  /** When the rows were read, in milliseconds since the Unix epoch. */
  readonly readAt: number;
  readonly retry: () => void;
}

const hidden = { sm: 'max-sm:hidden', md: 'max-md:hidden', lg: 'max-lg:hidden', xl: 'max-xl:hidden' };

/** A list that the server pages, filters and sorts; this only shows the page and asks for another. */
export function DataTable<Row extends RowData>({
  label,
  columns,
  page,
  rowId,
  state,
  onState,
  noun,
  empty,
  toolbar,
  pageSize = 50,
}: {
  readonly label: string;
  readonly columns: Columns<Row>;
  readonly page: TablePage<Row>;
  readonly rowId: (row: Row) => string;
  readonly state: ListState;
  readonly onState: (state: ListState) => void;
  /** Plural, such as "sources". */
  readonly noun: string;
  /** What to show when there is nothing at all. */
  readonly empty: React.ReactNode;
  readonly toolbar?: React.ReactNode;
  readonly pageSize?: number;
}) {
  // Cursors only lead forward: the way back is remembered, by page.
  const [trail, setTrail] = useState<ReadonlyMap<number, string>>(new Map());
  const forward = () => {
    if (page.nextCursor === null) return;
    setTrail(new Map(trail).set(state.page + 1, page.nextCursor));
    onState({ ...state, cursor: page.nextCursor, page: state.page + 1 });
  };
  const back = () => {
    const cursor = trail.get(state.page - 1) ?? null;
    onState({ ...state, cursor, page: cursor === null ? 1 : state.page - 1 });
  };
  const table = useTable({ features, columns, data: page.rows ?? none, getRowId: rowId });
  const narrowed = state.q !== '' || Object.keys(state.filter).length > 0;
  const first = (state.page - 1) * pageSize + 1;
  const shown = page.rows?.length ?? 0;

  return (
    <div className="flex flex-col gap-3">
      {toolbar === undefined ? null : (
        <div className="flex flex-wrap items-center gap-2 max-sm:*:flex-auto">{toolbar}</div>
      )}
      {page.failure !== null && page.rows !== undefined ? (
        <StaleNotice failure={page.failure} readAt={page.readAt} onRetry={page.retry} />
      ) : null}
      <div className="overflow-hidden rounded-lg border bg-surface shadow-card">
        <div className="relative overflow-x-auto">
          <table className="w-full border-collapse text-left" aria-label={label} aria-busy={page.refreshing}>
            <thead>
              {table.getHeaderGroups().map((group) => (
                <tr key={group.id} className="border-b bg-sunken">
                  {group.headers.map((header) => {
                    const meta = header.column.columnDef.meta;
                    return (
                      <th
                        key={header.id}
                        scope="col"
                        {...ariaSort(meta?.sort, state.sort)}
                        className={cn(
                          'h-9 px-3 text-xs font-medium whitespace-nowrap text-ink-3 first:pl-4 last:pr-4',
                          meta?.align === 'end' && 'text-right',
                          meta?.from !== undefined && hidden[meta.from],
                        )}
                      >
                        {meta?.sort === undefined ? (
                          <table.FlexRender header={header} />
                        ) : (
                          <SortButton field={meta.sort} state={state} onState={onState}>
                            <table.FlexRender header={header} />
                          </SortButton>
                        )}
                      </th>
                    );
                  })}
                </tr>
              ))}
            </thead>
            <tbody>
              {page.rows === undefined && page.failure === null ? <SkeletonRows columns={columns.length} /> : null}
              {table.getRowModel().rows.map((row) => (
                <tr key={row.id} className="relative border-b last:border-b-0 hover:bg-hover" data-row={row.id}>
                  {row.getAllCells().map((cell) => {
                    const meta = cell.column.columnDef.meta;
                    return (
                      <td
                        key={cell.id}
                        className={cn(
                          'h-11 px-3 py-1.5 first:pl-4 last:pr-4',
                          meta?.align === 'end' && 'text-right',
                          meta?.from !== undefined && hidden[meta.from],
                          meta?.className,
                        )}
                      >
                        <table.FlexRender cell={cell} />
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {page.rows === undefined && page.failure !== null ? (
          <Failed failure={page.failure} onRetry={page.retry} />
        ) : null}
        {page.rows?.length === 0 && !narrowed ? empty : null}
        {page.rows?.length === 0 && narrowed ? (
          <Empty
            title={`No ${noun} match`}
            action={
              <Button onClick={() => onState({ ...state, q: '', filter: {}, cursor: null, page: 1 })}>
                Clear search and filters
              </Button>
            }
          />
        ) : null}
        {shown === 0 ? null : (
          <nav
            aria-label={`Pages of ${noun}`}
            className="flex items-center gap-2 border-t px-4 py-1.5 text-xs text-ink-2"
          >
            <span className="flex-1">
              {page.total <= shown && state.page === 1
                ? `${formatCount(page.total)} ${page.total === 1 ? singular(noun) : noun}`
                : `${formatCount(first)}–${formatCount(first + shown - 1)} of ${formatCount(page.total)} ${noun}`}
            </span>
            {state.page > 1 || page.nextCursor !== null ? (
              <>
                <Button
                  size="sm"
                  kind="ghost"
                  disabledReason={state.page === 1 ? 'This is the first page' : null}
                  onClick={() => onState({ ...state, cursor: null, page: 1 })}
                >
                  First
                </Button>
                <Button
                  size="sm"
                  kind="ghost"
                  disabledReason={state.page === 1 ? 'This is the first page' : null}
                  onClick={back}
                >
                  <ChevronLeft aria-hidden="true" /> Back
                </Button>
                <Button
                  size="sm"
                  kind="ghost"
                  disabledReason={page.nextCursor === null ? 'This is the last page' : null}
                  onClick={forward}
                >
                  Next <ChevronRight aria-hidden="true" />
                </Button>
              </>
            ) : null}
          </nav>
        )}
      </div>
    </div>
  );
}

const none: never[] = [];

function ariaSort(field: string | undefined, sort: string) {
  if (field === undefined || (sort !== field && sort !== `-${field}`)) return {};
  return { 'aria-sort': sort.startsWith('-') ? 'descending' : 'ascending' } as const;
}

function SortButton({
  field,
  state,
  onState,
  children,
}: {
  readonly field: string;
  readonly state: ListState;
  readonly onState: (state: ListState) => void;
  readonly children: React.ReactNode;
}) {
  const Icon = state.sort === field ? ArrowUp : state.sort === `-${field}` ? ArrowDown : ChevronsUpDown;
  const active = Icon !== ChevronsUpDown;
  return (
    <button
      type="button"
      onClick={() => onState(withSort(state, field))}
      className={cn('group inline-flex items-center gap-1 hover:text-ink', active && 'text-ink')}
    >
      {children}
      <Icon
        aria-hidden="true"
        className={cn('size-3', !active && 'opacity-0 group-hover:opacity-100 group-focus:opacity-100')}
      />
    </button>
  );
}

function SkeletonRows({ columns }: { readonly columns: number }) {
  return Array.from({ length: 6 }, (_, row) => (
    <tr key={row} className="border-b last:border-b-0">
      {Array.from({ length: columns }, (_, column) => (
        <td key={column} className="h-11 px-3 first:pl-4">
          <Skeleton className={cn('h-3.5', column === 0 ? 'w-40' : 'w-16')} />
        </td>
      ))}
    </tr>
  ));
}

function singular(noun: string): string {
  return noun.replace(/ies$/, 'y').replace(/s$/, '');
}
