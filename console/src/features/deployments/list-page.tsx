'use client';

import type { DeploymentRecordView } from '@oaas/commons/client/pm';
import { Layers } from 'lucide-react';
import { columnsOf } from '../../ui/data-table.tsx';
import { FilterSelect } from '../../ui/filter-select.tsx';
import { formatCompact } from '../../ui/format.ts';
import { PageLink } from '../../ui/page-link.tsx';
import { Empty } from '../../ui/states.tsx';
import { Tag } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { EnvironmentSelect } from '../clusters/environment-select.tsx';
import { keys } from '../data/keys.ts';
import { ListPage } from '../data/list-page.tsx';
import { AxisCell } from './axes.tsx';
import { axisNames, axisWords, type AxisName } from './axes.ts';
import { recordPath, recordTitle, shortCommit } from './record.ts';

const spec = { filters: ['environment', 'package', 'source', 'held', ...axisNames], sort: 'package_name' };
const axisTitles: Record<AxisName, string> = { sync: 'Sync', health: 'Health', data: 'Data', nfr: 'NFR' };

export function DeploymentsPage() {
  return (
    <ListPage
      title="Deployments"
      subtitle="One class in one environment each, as Git wants it and as its cluster has it."
      noun="deployments"
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
          {axisNames.map((axis) => (
            <FilterSelect
              key={axis}
              label={axisTitles[axis]}
              any={`${axisTitles[axis]}: any`}
              options={Object.entries(axisWords[axis]).map(([value, [, word]]) => [
                value,
                `${axisTitles[axis]}: ${word.toLowerCase()}`,
              ])}
              value={filters.get(axis)}
              onChange={(value) => filters.set(axis, value)}
            />
          ))}
          {(['package', 'source', 'held'] as const)
            .filter((name) => filters.get(name) !== '')
            .map((name) => (
              <button
                key={name}
                type="button"
                onClick={() => filters.set(name, '')}
                aria-label={`Remove the filter ${name} ${filters.get(name)}`}
                className="h-8 rounded-md bg-accent-soft px-2.5 text-xs font-medium text-accent-strong"
              >
                {name === 'held' ? 'waits for a confirmation' : `${name} ${filters.get(name)}`} ×
              </button>
            ))}
        </>
      )}
      empty={
        <Empty icon={<Layers aria-hidden="true" />} title="Nothing is deployed yet">
          A deployment appears when a commit of a source asks for a class in an environment.
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
      <div className="min-w-36">
        <PageLink href={recordPath(record)} className="row-link font-medium">
          {recordTitle(record)}
        </PageLink>
        <p className="flex items-center gap-1.5 text-xs text-ink-3">
          {record.deployment_key}
          {record.hold === null ? null : (
            <Tag tone="hold" title={record.hold.reason}>
              confirm
            </Tag>
          )}
          {record.desired_digest === null && record.hold === null ? <Tag title="No longer in Git">kept</Tag> : null}
        </p>
      </div>
    ),
  }),
  helper.accessor('target_environment', { header: 'Environment', meta: { sort: 'target_environment' } }),
  helper.display({
    id: 'sync',
    header: 'Sync',
    meta: { sort: 'sync' },
    cell: ({ row }) => <AxisCell axes={row.original.axes} name="sync" />,
  }),
  helper.display({
    id: 'health',
    header: 'Health',
    meta: { sort: 'health' },
    cell: ({ row }) => <AxisCell axes={row.original.axes} name="health" />,
  }),
  helper.display({
    id: 'data',
    header: 'Data',
    meta: { sort: 'data' },
    cell: ({ row }) => <AxisCell axes={row.original.axes} name="data" />,
  }),
  helper.display({
    id: 'nfr',
    header: 'NFR',
    meta: { sort: 'nfr' },
    cell: ({ row }) => <AxisCell axes={row.original.axes} name="nfr" />,
  }),
  helper.display({
    id: 'shards',
    header: 'Shards',
    meta: { align: 'end', from: 'lg' },
    cell: ({ row: { original: record } }) => `${record.axes.data.shards_ready}/${record.axes.data.shards_total}`,
  }),
  helper.display({
    id: 'objects',
    header: 'Objects',
    meta: { align: 'end', from: 'lg' },
    cell: ({ row: { original: record } }) =>
      record.axes.data.objects === null ? '—' : formatCompact(record.axes.data.objects),
  }),
  helper.accessor('commit', {
    header: 'Commit',
    meta: { from: 'xl' },
    cell: ({ getValue }) => {
      const commit = getValue();
      return commit === null ? (
        <span className="text-ink-3">—</span>
      ) : (
        <code className="text-xs">{shortCommit(commit)}</code>
      );
    },
  }),
  helper.accessor('updated_at', {
    header: 'Updated',
    meta: { align: 'end', from: 'xl', sort: 'updated_at', className: 'whitespace-nowrap text-ink-2' },
    cell: ({ getValue }) => <Ago at={getValue()} />,
  }),
]);
