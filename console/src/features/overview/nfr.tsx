'use client';

import { useQuery } from '@tanstack/react-query';
import { formatCompact } from '../../ui/format.ts';
import { Status } from '../../ui/status.tsx';
import { Meter } from '../../ui/meter.tsx';
import { Skeleton } from '../../ui/states.tsx';
import { keys } from '../data/keys.ts';
import { usePm } from '../data/provider.tsx';

/** Counted by PM: one row is asked for, the total is what counts. */
function useCount(status: string) {
  const pm = usePm();
  const query = { limit: 1, filter: { nfr: status } };
  const result = useQuery({ queryKey: keys.recordList(query), queryFn: ({ signal }) => pm.listRecords(query, signal) });
  return result.data?.total;
}

export function NfrStation() {
  const compliant = useCount('Compliant');
  const violated = useCount('Violated');
  const unmeasured = useCount('NotMeasured');
  if (compliant === undefined || violated === undefined || unmeasured === undefined)
    return <Skeleton className="h-16 w-24" />;
  const required = compliant + violated + unmeasured;
  return (
    <>
      <p className="flex items-baseline gap-1.5">
        <span className="text-2xl font-semibold tracking-tight">{formatCompact(compliant)}</span>
        <span className="text-ink-3">of {formatCompact(required)}</span>
      </p>
      <p className="text-xs text-ink-2">requirements met</p>
      <Meter
        label="NFR"
        total={required}
        parts={[
          { tone: 'ok', value: compliant, word: 'compliant' },
          { tone: 'warn', value: violated, word: 'violated' },
          { tone: 'idle', value: unmeasured, word: 'not measured' },
        ]}
        className="my-1.5"
      />
      <p className="flex min-h-6 flex-wrap items-center gap-x-3 text-xs">
        {violated > 0 ? (
          <Status tone="warn" className="text-xs">
            {violated} violated
          </Status>
        ) : null}
        {unmeasured > 0 ? (
          <Status tone="idle" className="text-xs font-normal">
            {unmeasured} not measured
          </Status>
        ) : null}
      </p>
    </>
  );
}
