'use client';

import type { AuditRecordView } from '@oaas/commons/client/pm';
import { ScrollText } from 'lucide-react';
import { columnsOf } from '../../ui/data-table.tsx';
import { FilterSelect } from '../../ui/filter-select.tsx';
import { Empty } from '../../ui/states.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import type { Tone } from '../../ui/tone.ts';
import { keys } from '../data/keys.ts';
import { ListPage } from '../data/list-page.tsx';

const spec = { filters: ['result'], sort: '-at' };
const results: Record<AuditRecordView['result'], readonly [Tone, string]> = {
  succeeded: ['ok', 'Succeeded'],
  denied: ['warn', 'Denied'],
  failed: ['bad', 'Failed'],
};

/** Who changed what, when, from where, and whether it was allowed. */
export function AuditPage() {
  return (
    <ListPage
      title="Audit"
      subtitle="Every call that changed something or tried to."
      noun="entries"
      spec={spec}
      queryKey={keys.auditList}
      read={(pm, query, signal) => pm.listAudit(query, signal)}
      columns={columns}
      rowId={(entry) => entry.id}
      filters={(filters) => (
        <FilterSelect
          label="Result"
          any="Every result"
          options={Object.entries(results).map(([value, [, word]]) => [value, word])}
          value={filters.get('result')}
          onChange={(value) => filters.set('result', value)}
        />
      )}
      empty={
        <Empty icon={<ScrollText aria-hidden="true" />} title="Nothing has been changed yet">
          The first sync, edit or confirmation appears here.
        </Empty>
      }
    />
  );
}

const helper = columnsOf<AuditRecordView>();
const columns = helper.columns([
  helper.accessor('at', {
    header: 'When',
    meta: { sort: 'at', className: 'whitespace-nowrap text-ink-2' },
    cell: ({ getValue }) => <Ago at={getValue()} />,
  }),
  helper.accessor('actor', {
    header: 'Who',
    meta: { sort: 'actor' },
    cell: ({ row: { original: entry } }) => (
      <span className="whitespace-nowrap">
        <span className="font-medium">{entry.actor}</span> <span className="text-xs text-ink-3">{entry.role}</span>
      </span>
    ),
  }),
  helper.accessor('action', {
    header: 'Action',
    meta: { sort: 'action' },
    cell: ({ getValue }) => <code className="text-xs">{getValue()}</code>,
  }),
  helper.accessor('resource', {
    header: 'Resource',
    meta: { from: 'sm' },
    cell: ({ getValue }) => <code className="text-xs break-all">{getValue()}</code>,
  }),
  helper.accessor('result', {
    header: 'Result',
    cell: ({ getValue }) => {
      const [tone, word] = results[getValue()];
      return <Status tone={tone}>{word}</Status>;
    },
  }),
  helper.accessor('detail', { header: 'Detail', meta: { from: 'md', className: 'text-ink-2' } }),
  helper.accessor('remote_address', {
    header: 'From',
    meta: { from: 'lg', className: 'whitespace-nowrap text-ink-3' },
  }),
]);
