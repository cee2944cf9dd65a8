import type { DocumentProblem } from '@oaas/commons/client/pm';
import { cn } from '../../ui/cn.ts';
import { ScrollX } from '../../ui/scroll.tsx';

/** The file around a problem, with a mark under the column that it begins at. */
export function CodeFrame({
  problem,
  frame,
}: {
  readonly problem: DocumentProblem;
  readonly frame: NonNullable<DocumentProblem['frame']>;
}) {
  const last = frame.line + frame.lines.length - 1;
  const mark = problem.severity === 'error' ? 'text-bad' : 'text-warn';
  return (
    <ScrollX label={`Lines ${frame.line} to ${last} of ${problem.path}`} className="rounded-md border bg-surface">
      <pre className="py-1.5 text-xs leading-5" data-testid="code-frame">
        {frame.lines.map((text, index) => {
          const line = frame.line + index;
          const isMeant = line === problem.line;
          return (
            <div key={line} className={cn('flex w-max min-w-full pr-3', isMeant && 'bg-hover')}>
              <span className={cn('w-12 shrink-0 pr-3 text-right select-none', isMeant ? mark : 'text-ink-3')}>
                {line}
              </span>
              <code className={isMeant ? 'text-ink' : 'text-ink-2'}>
                {text}
                {isMeant && problem.column <= text.length + 1 ? (
                  <span aria-hidden="true" className={cn('block leading-none select-none', mark)}>
                    {' '.repeat(problem.column - 1)}^
                  </span>
                ) : null}
              </code>
            </div>
          );
        })}
      </pre>
    </ScrollX>
  );
}
