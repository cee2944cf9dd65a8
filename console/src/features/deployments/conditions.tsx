import type { Condition } from '@oaas/commons/client/pm';
import { Glyph } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { conditionTone } from './condition.ts';

export function ConditionList({ conditions }: { readonly conditions: readonly Condition[] }) {
  if (conditions.length === 0) return <p className="p-4 text-ink-2">No condition has been reported.</p>;
  return (
    <ul aria-label="Conditions">
      {conditions.map((condition) => (
        <li
          key={condition.type}
          className="flex items-start gap-3 border-b px-4 py-2.5 last:border-b-0"
          data-testid={`condition-${condition.type}`}
        >
          <Glyph tone={conditionTone(condition)} className="mt-[3px]" />
          <div className="min-w-0 flex-1">
            <p className="flex flex-wrap items-baseline gap-x-2">
              <span className="font-medium">{condition.type}</span>
              <span className="text-ink-2">{condition.status}</span>
              <span className="text-xs break-all text-ink-3">{condition.reason}</span>
              <Ago at={condition.last_transition_time} className="ml-auto text-xs text-ink-3" />
            </p>
            {condition.message === '' ? null : <p className="break-words text-ink-2">{condition.message}</p>}
          </div>
        </li>
      ))}
    </ul>
  );
}
