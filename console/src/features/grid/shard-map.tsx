'use client';

import type { GridMember, GridShard } from '@oaas/commons/client/pm';
import { memo, useCallback, useRef, useState } from 'react';
import { cn } from '../../ui/cn.ts';
import { formatBytes, formatCompact, formatCount, plural } from '../../ui/format.ts';
import { Facts } from '../../ui/panel.tsx';
import { Glyph, Status, Tag } from '../../ui/status.tsx';
import { toneText, type Tone } from '../../ui/tone.ts';
import {
  firstCell,
  memberView,
  moveFocus,
  shardStates,
  stateTone,
  type Arrow,
  type Cell,
  type ShardMapView,
} from './grid.ts';

/** Up to this many shards a cell is large enough for its number. */
const numberedUpTo = 48;

const arrows: readonly string[] = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'];

/** Where every replica of a collection is: members side by side, each shard at the same place in all of them. */
export function ShardMap({ map, members }: { readonly map: ShardMapView; readonly members: readonly GridMember[] }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const [focus, setFocus] = useState(() => firstCell(map));
  const frame = useRef<HTMLDivElement>(null);
  const choose = useCallback((column: number, row: number) => {
    setChosen(row);
    setFocus({ column, row });
  }, []);
  const entry = focus !== null && map.columns[focus.column]?.cells[focus.row] != null ? focus : firstCell(map);
  const shard = map.shards[chosen ?? entry?.row ?? 0];
  const numbered = map.shards.length <= numberedUpTo;

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (entry === null || !arrows.includes(event.key)) return;
    event.preventDefault();
    const next = moveFocus(map, entry, event.key as Arrow);
    frame.current?.querySelector<HTMLElement>(`[data-cell="${next.column}-${next.row}"]`)?.focus();
  };

  return (
    <div className="grid grid-cols-[minmax(0,1fr)_19rem] max-lg:grid-cols-1">
      <div className="min-w-0 p-4">
        <div className="mb-3 flex flex-wrap items-center gap-x-4 gap-y-1 text-xs">
          {shardStates(map.shards).map(({ state, tone, count }) => (
            <Status key={state} tone={tone} className="text-xs">
              {count} {state}
            </Status>
          ))}
          <Legend className="ml-auto" />
        </div>
        <div
          ref={frame}
          role="group"
          aria-label={`Shard map of ${map.collection}. Arrow keys go from shard to shard and from member to member.`}
          onKeyDown={onKeyDown}
          data-testid="shard-map"
          className="grid grid-cols-[repeat(auto-fit,minmax(10.5rem,1fr))] gap-3"
        >
          {map.columns.map((column, index) => (
            <div key={column.member} className="min-w-0 rounded-md border bg-sunken p-3" data-testid="shard-map-member">
              <MemberHead
                id={column.member}
                member={members.find((each) => each.id === column.member)}
                cells={column.cells}
              />
              <div
                className={cn(
                  'mt-2.5 grid gap-1',
                  numbered ? 'grid-cols-[repeat(auto-fill,38px)]' : 'grid-cols-[repeat(auto-fill,24px)]',
                )}
              >
                {column.cells.map((cell, row) =>
                  cell === null ? (
                    <span
                      key={row}
                      aria-hidden="true"
                      className={cn(
                        'grid place-items-center rounded-sm',
                        numbered ? 'h-11 w-9.5' : 'size-6',
                        chosen === row && 'bg-accent-soft',
                      )}
                    >
                      <span className="size-[3px] rounded-full bg-line-strong" />
                    </span>
                  ) : (
                    <ShardCell
                      key={row}
                      cell={cell}
                      column={index}
                      row={row}
                      member={column.member}
                      chosen={chosen === row}
                      numbered={numbered}
                      entry={entry?.column === index && entry.row === row}
                      onChoose={choose}
                    />
                  ),
                )}
              </div>
            </div>
          ))}
        </div>
        {map.homeless.length === 0 ? null : (
          <p className="mt-3 flex items-center gap-2 text-bad">
            <Glyph tone="bad" />
            {plural(map.homeless.length, 'shard')} without any replica: partition{' '}
            {map.homeless.map((each) => each.partition).join(', ')}
          </p>
        )}
      </div>
      <div className="border-l p-4 max-lg:border-t max-lg:border-l-0">
        {shard === undefined ? (
          <p className="text-ink-2">The collection has no shard yet.</p>
        ) : (
          <ShardDetails shard={shard} />
        )}
      </div>
    </div>
  );
}

function MemberHead({
  id,
  member,
  cells,
}: {
  readonly id: string;
  readonly member: GridMember | undefined;
  readonly cells: readonly (Cell | null)[];
}) {
  const held = cells.filter((cell) => cell !== null);
  const leading = held.filter((cell) => cell.leading).length;
  const { tone, word } =
    member === undefined ? { tone: 'idle' as const, word: 'Not a member' } : memberView(member.state);
  return (
    <div>
      <p className="flex items-center gap-1.5 font-medium">
        <Glyph tone={tone} className="size-3" />
        <span className="truncate" title={id}>
          {shortName(id)}
        </span>
        <span className="sr-only">{word}</span>
      </p>
      <p className="text-2xs text-ink-3">
        {plural(held.length, 'replica')}, leads {leading}
        {member === undefined || member.zone === '' ? '' : `, ${member.zone}`}
      </p>
    </div>
  );
}

/** Names of pods begin alike; their end tells them apart. */
function shortName(id: string): string {
  return id.length <= 20 ? id : `…${id.slice(-18)}`;
}

const ShardCell = memo(function ShardCell({
  cell,
  column,
  row,
  member,
  chosen,
  entry,
  numbered,
  onChoose,
}: {
  readonly cell: Cell;
  readonly column: number;
  readonly row: number;
  readonly member: string;
  readonly chosen: boolean;
  readonly entry: boolean;
  readonly numbered: boolean;
  readonly onChoose: (column: number, row: number) => void;
}) {
  return (
    <button
      type="button"
      data-cell={`${column}-${row}`}
      data-leading={cell.leading}
      data-state={cell.state}
      tabIndex={entry ? 0 : -1}
      aria-pressed={chosen}
      aria-label={`Partition ${cell.shard.partition} on ${member}: ${cell.role}, ${cell.state}`}
      onFocus={() => onChoose(column, row)}
      onMouseEnter={() => onChoose(column, row)}
      onClick={() => onChoose(column, row)}
      className={cn(
        'grid place-items-center rounded-sm',
        numbered ? 'h-11 w-9.5 content-center' : 'size-6',
        toneText[cell.tone],
        chosen && 'bg-accent-soft ring-1 ring-accent',
      )}
    >
      <ReplicaShape tone={cell.tone} leading={cell.leading} className={numbered ? 'size-6' : 'size-5'} />
      {numbered ? <span className="text-2xs leading-3.5 text-ink-3">{cell.shard.partition}</span> : null}
    </button>
  );
});

/** Shape tells the state, the ring tells who leads: neither needs colour. */
export function ReplicaShape({
  tone,
  leading,
  className = 'size-5',
}: {
  readonly tone: Tone;
  readonly leading: boolean;
  readonly className?: string;
}) {
  return (
    <svg
      viewBox="0 0 20 20"
      className={className}
      aria-hidden="true"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
    >
      {leading ? <rect x="1.2" y="1.2" width="17.6" height="17.6" rx="4.6" /> : null}
      {replicaShapes[tone]}
    </svg>
  );
}

const square = <rect x="5" y="5" width="10" height="10" rx="2" fill="currentColor" stroke="none" />;
const replicaShapes: Record<Tone, React.ReactNode> = {
  ok: square,
  busy: (
    <>
      <rect x="5.4" y="5.4" width="9.2" height="9.2" rx="2" />
      <path d="M5.4 14.6V10h9.2v4.6z" fill="currentColor" stroke="none" />
    </>
  ),
  warn: <path d="M10 5l5.6 9.8H4.4z" fill="currentColor" stroke="none" />,
  bad: <path d="M5.8 5.8l8.4 8.4M14.2 5.8l-8.4 8.4" strokeWidth="2.2" strokeLinecap="round" />,
  hold: <path d="M10 4.2L15.8 10 10 15.8 4.2 10z" fill="currentColor" stroke="none" />,
  pause: <path d="M7.4 6v8M12.6 6v8" strokeWidth="2.2" />,
  idle: <rect x="5.4" y="5.4" width="9.2" height="9.2" rx="2" strokeDasharray="2 2" />,
};

const legend: readonly (readonly [Tone, boolean, string])[] = [
  ['ok', true, 'leads'],
  ['ok', false, 'ready'],
  ['busy', false, 'catching up'],
  ['warn', false, 'degraded'],
  ['bad', false, 'unavailable'],
];

function Legend({ className }: { readonly className?: string }) {
  return (
    <ul
      aria-label="Legend"
      className={cn('flex flex-wrap items-center gap-x-3 gap-y-1 text-2xs text-ink-2', className)}
    >
      {legend.map(([tone, leading, word]) => (
        <li key={word} className="flex items-center gap-1">
          <span className={toneText[tone]}>
            <ReplicaShape tone={tone} leading={leading} />
          </span>
          {word}
        </li>
      ))}
    </ul>
  );
}

function ShardDetails({ shard }: { readonly shard: GridShard }) {
  const lag = Math.max(1, ...shard.replicas.map((replica) => replica.lag));
  return (
    <div data-testid="shard-details" aria-live="polite">
      <h3 className="flex items-center gap-2 font-semibold">
        Partition {shard.partition}
        <Status tone={stateTone(shard.state)} className="text-xs">
          {shard.state}
        </Status>
      </h3>
      <Facts
        className="mt-3 gap-y-1.5"
        facts={[
          { name: 'Leader', value: shard.leader === '' ? <span className="text-bad">none</span> : shard.leader },
          { name: 'Objects', value: formatCompact(shard.objects) },
          { name: 'Size', value: formatBytes(shard.bytes) },
          { name: 'Type', value: shard.type },
          { name: 'Term', value: formatCount(shard.term) },
          { name: 'Shard', value: shard.shard_id },
        ]}
      />
      <p className="mt-4 mb-1 font-medium">Replicas</p>
      <ul className="flex flex-col">
        {shard.replicas.map((replica) => (
          <li key={replica.node} className="border-t py-2">
            <p className="flex items-center gap-2">
              <span className={toneText[stateTone(replica.state)]}>
                <ReplicaShape tone={stateTone(replica.state)} leading={replica.node === shard.leader} />
              </span>
              <span className="min-w-0 flex-1 truncate" title={replica.node}>
                {replica.node}
              </span>
              <Tag>{replica.role}</Tag>
            </p>
            <p className="mt-0.5 flex items-center gap-2 pl-7 text-xs text-ink-2">
              {replica.state}
              {replica.lag > 0 ? (
                <>
                  <span aria-hidden="true" className="h-1 flex-1 overflow-hidden rounded-full bg-idle-soft">
                    <span className="block h-full bg-warn" style={{ width: `${(replica.lag / lag) * 100}%` }} />
                  </span>
                  {plural(replica.lag, 'entry', 'entries')} behind
                </>
              ) : null}
            </p>
          </li>
        ))}
      </ul>
    </div>
  );
}
