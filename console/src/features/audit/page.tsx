'use client';

import type { AuditRecordView } from '@oaas/commons/client/pm';
import { ScrollText } from 'lucide-react';
import { columnsOf, DataTable } from '../../ui/data-table.tsx';
import { SearchInput, Select } from '../../ui/field.tsx';
import { withFilter, withQuery } from '../../ui/list-state.ts';
import { PageHeader } from '../../ui/panel.tsx';
import { Empty } from '../../ui/states.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import type { Tone } from '../../ui/tone.ts';
import { useListState } from '../../ui/use-search.ts';
import { keys } from '../data/keys.ts';
import { usePm } from '../data/provider.tsx';
import { useList } from '../data/use-list.ts';

const spec = { filters: ['result'], sort: '-at' };
const results: Record<AuditRecordView['result'], readonly [Tone, string]> = {
  succeeded: ['ok', 'Succeeded'],
  denied: ['warn', 'Denied'],
  failed: ['bad', 'Failed'],
};

/** Who changed what, when, from where, and whether it was allowed. */
export function AuditPage() {
  const pm = usePm();
  const [state, setState] = useListState(spec);
  const page = useList(state, keys.auditList, (query, signal) => pm.listAudit(query, signal));
  return (
    <>
      <PageHeader title="Audit" subtitle="Every call that changed something or tried to." />
      <DataTable
        label="Audit"
        noun="entries"
        columns={columns}
        page={page}
        rowId={(entry) => entry.id}
        state={state}
        onState={setState}
        toolbar={
          <>
            <SearchInput
              label="Search audit"
              className="w-72 max-sm:w-full"
              value={state.q}
              onChange={(event) => setState(withQuery(state, event.target.value))}
            />
            <Select
              aria-label="Result"
              value={state.filter['result'] ?? ''}
              onChange={(event) => setState(withFilter(state, 'result', event.target.value))}
            >
              <option value="">Every result</option>
              {Object.entries(results).map(([value, [, word]]) => (
                <option key={value} value={value}>
                  {word}
                </option>
              ))}
            </Select>
          </>
        }
        empty={
          <Empty icon={<ScrollText aria-hidden="true" />} title="Nothing has been changed yet">
            The first sync, edit or confirmation appears here.
          </Empty>
        }
      />
    </>
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
