'use client';

import type { FieldChange, GridLayoutView, Plan, UnitChange } from '@oaas/commons/client/pm';
import { useVirtualizer } from '@tanstack/react-virtual';
import { ChevronRight } from 'lucide-react';
import { useRef, useState } from 'react';
import { cn } from '../../ui/cn.ts';
import { FilterSelect } from '../../ui/filter-select.tsx';
import { formatCount, plural } from '../../ui/format.ts';
import { PageLink } from '../../ui/page-link.tsx';
import { Empty } from '../../ui/states.tsx';
import { Tag } from '../../ui/status.tsx';
import { recordPath } from '../deployments/record.ts';
import {
  actions,
  actionView,
  byEnvironment,
  changeKind,
  dataCost,
  layoutText,
  unitsToShow,
  valueText,
} from './plan.ts';

/** What a commit does, per cluster, class by class: to the code and to the data. */
export function PlanView({ plan }: { readonly plan: Plan }) {
  const [environment, setEnvironment] = useState('');
  const [action, setAction] = useState('');
  const [unchanged, setUnchanged] = useState(false);
  const environments = byEnvironment(plan);
  const units = unitsToShow(plan, { environment, action, unchanged });
  const hidden = plan.units.length - units.length;
  if (plan.units.length === 0) {
    return <Empty title="This commit asks for nothing">It holds no deployment for any cluster.</Empty>;
  }
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-2">
        <FilterSelect
          label="Cluster"
          any="Every cluster"
          options={environments.map((each) => [each.environment, `${each.environment} (${each.total})`])}
          value={environment}
          onChange={setEnvironment}
        />
        <FilterSelect
          label="Action"
          any="Every action"
          options={actions.map((each) => [each, actionView(each).word])}
          value={action}
          onChange={setAction}
        />
        <label className="flex h-8 items-center gap-2 text-ink-2">
          <input
            type="checkbox"
            className="size-4 accent-accent"
            checked={unchanged}
            onChange={(event) => setUnchanged(event.target.checked)}
          />
          Show unchanged
        </label>
        {hidden > 0 ? <span className="ml-auto text-xs text-ink-3">{formatCount(hidden)} not shown</span> : null}
      </div>
      {units.length === 0 ? (
        <div className="rounded-lg border bg-surface">
          <Empty title="Nothing to change">
            {environment === '' && action === '' ? 'What runs is what this commit wants.' : 'No unit is of this kind.'}
          </Empty>
        </div>
      ) : (
        <UnitList units={units} />
      )}
    </div>
  );
}

/** Rows beyond this are drawn only where they are in sight. */
const virtualFrom = 60;

function UnitList({ units }: { readonly units: readonly UnitChange[] }) {
  const frame = 'overflow-hidden rounded-lg border bg-surface shadow-card';
  if (units.length >= virtualFrom) return <VirtualUnits units={units} className={frame} />;
  return (
    <ul className={frame} aria-label="Units of the plan">
      {units.map((unit) => (
        <li key={unit.unit_id} className="border-b last:border-b-0">
          <UnitRow unit={unit} />
        </li>
      ))}
    </ul>
  );
}

function VirtualUnits({ units, className }: { readonly units: readonly UnitChange[]; readonly className: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- nothing of it is handed to a memoised component
  const rows = useVirtualizer({
    count: units.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 45,
    overscan: 12,
    getItemKey: (index) => units[index]?.unit_id ?? index,
  });
  return (
    <div
      ref={scroller}
      className={cn(className, 'h-[70vh] overflow-y-auto')}
      tabIndex={0}
      role="region"
      aria-label="Units of the plan"
    >
      <ul className="relative" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((row) => {
          const unit = units[row.index];
          return unit === undefined ? null : (
            <li
              key={row.key}
              ref={rows.measureElement}
              data-index={row.index}
              aria-setsize={units.length}
              aria-posinset={row.index + 1}
              className="absolute inset-x-0 top-0 border-b"
              style={{ transform: `translateY(${row.start}px)` }}
            >
              <UnitRow unit={unit} />
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function UnitRow({ unit }: { readonly unit: UnitChange }) {
  const [open, setOpen] = useState(unit.action === 'hold');
  const { tone, sign, word } = actionView(unit.action);
  const title = `${unit.package_name}.${unit.class_key}`;
  return (
    <div data-testid={`unit-${unit.unit_id}`} data-action={unit.action}>
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        className="flex min-h-11 w-full items-center gap-3 px-4 py-1.5 text-left hover:bg-hover"
      >
        <ChevronRight
          className={cn('size-4 shrink-0 text-ink-3 transition-transform', open && 'rotate-90')}
          aria-hidden="true"
        />
        <Tag tone={tone} className="w-22">
          <span aria-hidden="true" className="w-2.5 text-center">
            {sign}
          </span>
          {word}
        </Tag>
        <span className="min-w-0 shrink-0 font-medium">{title}</span>
        <span className="shrink-0 text-ink-2">{unit.environment}</span>
        <span className="min-w-0 flex-1 truncate text-ink-2 max-md:hidden">{unit.reason}</span>
        {unit.changes.length === 0 ? null : (
          <span className="shrink-0 text-xs text-ink-3 max-sm:hidden">{plural(unit.changes.length, 'field')}</span>
        )}
      </button>
      {open ? <UnitDetails unit={unit} /> : null}
    </div>
  );
}

function UnitDetails({ unit }: { readonly unit: UnitChange }) {
  return (
    <div className="flex flex-col gap-4 border-t border-dashed bg-sunken px-4 py-4 pl-11 max-sm:pl-4">
      <p>
        {unit.reason} <span className="text-ink-3">From {unit.path}.</span>
        {unit.action === 'create' ? null : (
          <>
            {' '}
            <PageLink href={recordPath({ id: unit.unit_id })} className="font-medium text-accent hover:underline">
              Open the deployment
            </PageLink>
          </>
        )}
      </p>
      <DataPart data={unit.data} />
      {unit.changes.length === 0 ? null : <FieldChanges changes={unit.changes} />}
    </div>
  );
}

/** What happens to the shards: the layout before and after, and the cost in numbers. */
function DataPart({ data }: { readonly data: UnitChange['data'] }) {
  const same = JSON.stringify(data.before) === JSON.stringify(data.after);
  const cost = dataCost(data);
  return (
    <section aria-label="Data" className="flex flex-col gap-2">
      <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <span className="font-medium">Data</span>
        <span className="text-ink-2">{data.effect}</span>
      </p>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        {same ? (
          <LayoutPicture layout={data.after} label="Stays" />
        ) : (
          <>
            <LayoutPicture layout={data.before} label="Now" />
            <span aria-hidden="true" className="text-ink-3">
              →
            </span>
            <LayoutPicture layout={data.after} label="Then" />
          </>
        )}
        {cost.length === 0 ? null : (
          <ul className="flex flex-wrap gap-1.5">
            {cost.map((line) => (
              <li key={line}>
                <Tag>{line}</Tag>
              </li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

/** Shards as cells, one row per collection; more than this are only counted. */
const drawnShards = 32;

function LayoutPicture({ layout, label }: { readonly layout: GridLayoutView | null; readonly label: string }) {
  return (
    <div className="rounded-md border bg-surface px-3 py-2">
      <p className="eyebrow">{label}</p>
      <p className="text-xs">{layoutText(layout)}</p>
      {layout?.collections.map((collection) => (
        <div
          key={collection.name}
          className="mt-1.5 flex items-center gap-2"
          title={`${collection.name}: ${collection.shard_type}`}
        >
          <span aria-hidden="true" className="flex flex-wrap gap-0.5">
            {Array.from({ length: Math.min(collection.partition_count, drawnShards) }, (_, index) => (
              <span key={index} className="flex flex-col gap-px">
                {Array.from({ length: collection.replica_count }, (_each, replica) => (
                  <span
                    key={replica}
                    className={cn('size-1.5 rounded-[1px]', replica === 0 ? 'bg-accent' : 'bg-accent/35')}
                  />
                ))}
              </span>
            ))}
          </span>
          <span className="text-2xs text-ink-3">
            {collection.name} {collection.partition_count}×{collection.replica_count} {collection.shard_type}
          </span>
        </div>
      ))}
    </div>
  );
}

function FieldChanges({ changes }: { readonly changes: readonly FieldChange[] }) {
  return (
    <section aria-label="Field changes" className="overflow-x-auto rounded-md border bg-surface">
      <table className="w-full text-left text-xs">
        <thead className="sr-only">
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
          </tr>
        </thead>
        <tbody>
          {changes.map((change) => {
            const kind = changeKind(change);
            return (
              <tr key={change.path} className="border-b align-top last:border-b-0">
                <th scope="row" className="w-px px-3 py-1.5 font-normal whitespace-nowrap">
                  <code>{change.path}</code>
                </th>
                <td className="px-3 py-1.5">
                  <span className="flex flex-wrap items-baseline gap-2">
                    <Side value={valueText(change.before)} side="before" />
                    {kind === 'changed' ? (
                      <span aria-hidden="true" className="text-ink-3">
                        →
                      </span>
                    ) : null}
                  </span>
                </td>
                <td className="px-3 py-1.5">
                  <Side value={valueText(change.after)} side="after" />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

function Side({ value, side }: { readonly value: string | null; readonly side: 'before' | 'after' }) {
  if (value === null) return null;
  const look = side === 'before' ? 'bg-bad-soft text-bad' : 'bg-ok-soft text-ok';
  return (
    <code className={cn('rounded-sm px-1 break-all', look)}>
      <span aria-hidden="true">{side === 'before' ? '− ' : '+ '}</span>
      {value}
    </code>
  );
}
