import type { DocumentVerdict, Plan } from '@oaas/commons/client/pm';
import { expect, it } from 'vitest';
import { documentsToShow, placeOf, problemCount } from './documents.ts';

const problem = {
  severity: 'error',
  code: 'PackageInvalid',
  message: '',
  remedy: '',
  path: 'a.yaml',
  line: 3,
  column: 5,
} as const;
const document = (
  path: string,
  verdict: DocumentVerdict['verdict'],
  problems: DocumentVerdict['problems'] = [],
): DocumentVerdict => ({
  path,
  line: 1,
  kind: 'Package',
  name: path,
  verdict,
  problems,
});
const plan = {
  documents: [
    document('a.yaml', 'accepted'),
    document('b.yaml', 'accepted', [{ ...problem, severity: 'warning' }]),
    document('c.yaml', 'refused', [problem, problem]),
  ],
} as unknown as Plan;

it('what is wrong stands first', () => {
  expect(documentsToShow(plan).map((each) => each.path)).toEqual(['c.yaml', 'b.yaml', 'a.yaml']);
});

it('errors and warnings are counted apart', () => {
  expect(problemCount(plan)).toEqual({ errors: 2, warnings: 1 });
});

it('a place is written as editors open it', () => {
  expect(placeOf(problem)).toBe('a.yaml:3:5');
});
