'use client';

import type { PackageView } from '@oaas/commons/client/pm';
import { Package } from 'lucide-react';
import { columnsOf } from '../../ui/data-table.tsx';
import { PageLink } from '../../ui/page-link.tsx';
import { Empty } from '../../ui/states.tsx';
import { Ago } from '../../ui/time.tsx';
import { keys } from '../data/keys.ts';
import { ListPage } from '../data/list-page.tsx';
import { originText } from './package.ts';

const spec = { filters: [], sort: 'name' };

export function PackagesPage() {
  return (
    <ListPage
      title="Packages"
      subtitle="Classes and their functions, as the last accepted commit or the API left them."
      noun="packages"
      spec={spec}
      queryKey={keys.packageList}
      read={(pm, query, signal) => pm.listPackages(query, signal)}
      columns={columns}
      rowId={(item) => item.name}
      empty={
        <Empty icon={<Package aria-hidden="true" />} title="No package yet">
          Packages come with the first commit of a source that PM accepts.
        </Empty>
      }
    />
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
