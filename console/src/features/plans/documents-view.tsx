'use client';

import type { DocumentProblem, DocumentVerdict, Plan } from '@oaas/commons/client/pm';
import { FileCode2, Wrench } from 'lucide-react';
import { CopyButton } from '../../ui/copy.tsx';
import { Empty } from '../../ui/states.tsx';
import { Glyph, Status, Tag } from '../../ui/status.tsx';
import { CodeFrame } from './code-frame.tsx';
import { documentsToShow, placeOf, verdictView } from './documents.ts';

/** The verdict on every document of a commit, with each problem's place, reason and remedy. */
export function DocumentsView({ plan }: { readonly plan: Plan }) {
  const documents = documentsToShow(plan);
  if (documents.length === 0) {
    return (
      <div className="rounded-lg border bg-surface">
        <Empty title="No document found">There is no YAML file under this source's folder at this commit.</Empty>
      </div>
    );
  }
  return (
    <ul className="flex flex-col overflow-hidden rounded-lg border bg-surface shadow-card" aria-label="Documents">
      {documents.map((document) => (
        <li
          key={`${document.path}:${document.line}`}
          className="border-b last:border-b-0"
          data-testid="document"
          data-verdict={document.verdict}
        >
          <DocumentRow document={document} />
        </li>
      ))}
    </ul>
  );
}

function DocumentRow({ document }: { readonly document: DocumentVerdict }) {
  const { tone, word } = verdictView(document.verdict);
  return (
    <>
      <div className="flex min-h-11 flex-wrap items-center gap-x-3 gap-y-1 px-4 py-1.5">
        <Status tone={tone} className="w-24">
          {word}
        </Status>
        <FileCode2 className="size-4 text-ink-3" aria-hidden="true" />
        <code className="min-w-0 text-xs break-all">
          {document.path}:{document.line}
        </code>
        <span className="ml-auto flex items-center gap-2 text-ink-2">
          {document.name}
          <Tag>{document.kind}</Tag>
        </span>
      </div>
      {document.problems.map((problem, index) => (
        <Problem key={index} problem={problem} />
      ))}
    </>
  );
}

function Problem({ problem }: { readonly problem: DocumentProblem }) {
  const tone = problem.severity === 'error' ? 'bad' : 'warn';
  const place = placeOf(problem);
  return (
    <div className="mx-4 mb-3 rounded-md border bg-sunken px-3 py-2.5" data-testid="problem">
      <div className="flex items-start gap-2.5">
        <Glyph tone={tone} className="mt-[3px]" />
        <div className="flex min-w-0 flex-1 flex-col gap-1.5">
          <p className="font-medium break-words">{problem.message}</p>
          <p className="flex items-start gap-1.5 break-words text-ink-2">
            <Wrench className="mt-[3px] size-3.5 shrink-0 text-ink-3" aria-hidden="true" />
            <span>
              <span className="sr-only">Remedy: </span>
              {problem.remedy}
            </span>
          </p>
          {problem.frame === undefined ? null : <CodeFrame problem={problem} frame={problem.frame} />}
          <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-ink-3">
            <span className="inline-flex items-center gap-0.5">
              <code className="text-ink-2">{place}</code>
              <CopyButton text={place} label="Copy the place" />
            </span>
            {problem.field === undefined ? null : <code>{problem.field}</code>}
            <span>{problem.code}</span>
          </p>
        </div>
      </div>
    </div>
  );
}
