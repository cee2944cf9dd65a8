import type { DocumentProblem, DocumentVerdict, Plan } from '@oaas/commons/client/pm';
import type { Tone } from '../../ui/tone.ts';

const verdicts: Record<DocumentVerdict['verdict'], readonly [Tone, string]> = {
  accepted: ['ok', 'Accepted'],
  refused: ['bad', 'Refused'],
  ignored: ['idle', 'Ignored'],
};

export function verdictView(verdict: DocumentVerdict['verdict']): { readonly tone: Tone; readonly word: string } {
  const [tone, word] = verdicts[verdict];
  return { tone, word };
}

/** Refused documents first, then those with warnings, then by place. */
export function documentsToShow(plan: Plan): readonly DocumentVerdict[] {
  const rank = (document: DocumentVerdict) =>
    document.verdict === 'refused' ? 0 : document.problems.length > 0 ? 1 : 2;
  return plan.documents.toSorted((a, b) => rank(a) - rank(b) || a.path.localeCompare(b.path) || a.line - b.line);
}

export function problemCount(plan: Plan): { readonly errors: number; readonly warnings: number } {
  const all = plan.documents.flatMap((document) => document.problems);
  const errors = all.filter((problem) => problem.severity === 'error').length;
  return { errors, warnings: all.length - errors };
}

/** `file:line:column`, as editors and terminals open it. */
export function placeOf(problem: Pick<DocumentProblem, 'path' | 'line' | 'column'>): string {
  return `${problem.path}:${problem.line}:${problem.column}`;
}
