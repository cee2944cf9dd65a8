'use client';

import type { DeploymentRecordView } from '@oaas/commons/client/pm';
import { Grid3x3 } from 'lucide-react';
import { columnsOf } from '../../ui/data-table.tsx';
import { FilterSelect } from '../../ui/filter-select.tsx';
import { formatBytes, formatCompact } from '../../ui/format.ts';
import { Meter } from '../../ui/meter.tsx';
import { PageLink } from '../../ui/page-link.tsx';
import { Empty } from '../../ui/states.tsx';
import { EnvironmentSelect } from '../clusters/environment-select.tsx';
import { keys } from '../data/keys.ts';
import { ListPage } from '../data/list-page.tsx';
import { AxisCell } from '../deployments/axes.tsx';
import { axisWords } from '../deployments/axes.ts';
import { gridPath, recordTitle } from '../deployments/record.ts';

const spec = { filters: ['environment', 'data'], sort: 'package_name' };

/** Every deployment has a grid of its own: choose whose. */
export function GridsPage() {
  return (
    <ListPage
      title="Grid"
      subtitle="Each deployment keeps its objects in a grid of its own. Choose one to see its members and shards."
      noun="grids"
      spec={spec}
      queryKey={keys.recordList}
      read={(pm, query, signal) => pm.listRecords(query, signal)}
      columns={columns}
      rowId={(record) => record.id}
      filters={(filters) => (
        <>
          <EnvironmentSelect
            value={filters.get('environment')}
            onChange={(value) => filters.set('environment', value)}
          />
          <FilterSelect
            label="Data"
            any="Data: any"
            options={Object.entries(axisWords.data).map(([value, [, word]]) => [value, `Data: ${word.toLowerCase()}`])}
            value={filters.get('data')}
            onChange={(value) => filters.set('data', value)}
          />
        </>
      )}
      empty={
        <Empty icon={<Grid3x3 aria-hidden="true" />} title="No grid yet">
          A grid is made with the first deployment of a class.
        </Empty>
      }
    />
  );
}

const helper = columnsOf<DeploymentRecordView>();
const columns = helper.columns([
  helper.accessor('class_key', {
    header: 'Deployment',
    meta: { sort: 'package_name' },
    cell: ({ row: { original: record } }) => (
      <PageLink href={gridPath(record)} className="row-link font-medium">
        {recordTitle(record)}
      </PageLink>
    ),
  }),
  helper.accessor('target_environment', { header: 'Environment', meta: { sort: 'target_environment' } }),
  helper.display({ id: 'data', header: 'Data', cell: ({ row }) => <AxisCell axes={row.original.axes} name="data" /> }),
  helper.display({
    id: 'shards',
    header: 'Shards ready',
    meta: { from: 'sm' },
    cell: ({ row: { original: record } }) => {
      const { shards_ready: ready, shards_total: total, status } = record.axes.data;
      return (
        <span className="flex items-center gap-2">
          <Meter
            label="Shards ready"
            className="w-24 max-lg:hidden"
            total={total}
            parts={[
              { tone: 'ok', value: ready, word: 'ready' },
              { tone: status === 'Unknown' ? 'idle' : 'warn', value: total - ready, word: 'not ready' },
            ]}
          />
          {ready}/{total}
        </span>
      );
    },
  }),
  helper.display({
    id: 'members',
    header: 'Members',
    meta: { align: 'end', from: 'md' },
    cell: ({ row: { original: record } }) => `${record.axes.data.members_ready}/${record.axes.data.members_total}`,
  }),
  helper.display({
    id: 'objects',
    header: 'Objects',
    meta: { align: 'end', from: 'sm' },
    cell: ({ row: { original: record } }) =>
      record.axes.data.objects === null ? '—' : formatCompact(record.axes.data.objects),
  }),
  helper.display({
    id: 'bytes',
    header: 'Size',
    meta: { align: 'end', from: 'md' },
    cell: ({ row: { original: record } }) =>
      record.axes.data.bytes === null ? '—' : formatBytes(record.axes.data.bytes),
  }),
]);
