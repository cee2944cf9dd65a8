'use client';

import type { PackageView } from '@oaas/commons/client/pm';
import { Package } from 'lucide-react';
import { columnsOf, DataTable } from '../../ui/data-table.tsx';
import { SearchInput } from '../../ui/field.tsx';
import { withQuery } from '../../ui/list-state.ts';
import { PageLink } from '../../ui/page-link.tsx';
import { PageHeader } from '../../ui/panel.tsx';
import { Empty } from '../../ui/states.tsx';
import { Ago } from '../../ui/time.tsx';
import { useListState } from '../../ui/use-search.ts';
import { keys } from '../data/keys.ts';
import { usePm } from '../data/provider.tsx';
import { useList } from '../data/use-list.ts';
import { originText } from './package.ts';

const spec = { filters: [], sort: 'name' };

export function PackagesPage() {
  const pm = usePm();
  const [state, setState] = useListState(spec);
  const page = useList(state, keys.packageList, (query, signal) => pm.listPackages(query, signal));
  return (
    <>
      <PageHeader
        title="Packages"
        subtitle="Classes and their functions, as the last accepted commit or the API left them."
      />
      <DataTable
        label="Packages"
        noun="packages"
        columns={columns}
        page={page}
        rowId={(item) => item.name}
        state={state}
        onState={setState}
        toolbar={
          <SearchInput
            label="Search packages"
            className="w-72 max-sm:w-full"
            value={state.q}
            onChange={(event) => setState(withQuery(state, event.target.value))}
          />
        }
        empty={
          <Empty icon={<Package aria-hidden="true" />} title="No package yet">
            Packages come with the first commit of a source that PM accepts.
          </Empty>
        }
      />
    </>
  );
}

const helper = columnsOf<PackageView>();
const columns = helper.columns([
  helper.accessor('name', {
    header: 'Package',
    meta: { sort: 'name', className: 'max-w-80' },
    cell: ({ row: { original: item } }) => (
      <div className="min-w-0">
        <PageLink href={`/packages/${encodeURIComponent(item.name)}`} className="row-link font-medium">
          {item.name}
        </PageLink>
        {item.metadata.description == null ? null : (
          <p className="truncate text-xs text-ink-3">{item.metadata.description}</p>
        )}
      </div>
    ),
  }),
  helper.accessor('version', { header: 'Version', cell: ({ getValue }) => getValue() ?? '—' }),
  helper.accessor((item) => item.classes.length, {
    id: 'classes',
    header: 'Classes',
    meta: { align: 'end', from: 'sm' },
  }),
  helper.accessor((item) => item.functions.length, {
    id: 'functions',
    header: 'Functions',
    meta: { align: 'end', from: 'sm' },
  }),
  helper.accessor((item) => item.deployments.length, {
    id: 'deployments',
    header: 'Deployments',
    meta: { align: 'end', from: 'md' },
  }),
  helper.accessor((item) => originText(item), {
    id: 'origin',
    header: 'Origin',
    meta: { from: 'md', className: 'max-w-96' },
    cell: ({ getValue }) => <code className="block truncate text-xs text-ink-2">{getValue()}</code>,
  }),
  helper.accessor('updated_at', {
    header: 'Updated',
    meta: { align: 'end', from: 'sm', sort: 'updated_at', className: 'whitespace-nowrap text-ink-2' },
    cell: ({ getValue }) => <Ago at={getValue()} />,
  }),
]);
