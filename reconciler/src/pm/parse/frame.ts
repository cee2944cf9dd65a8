import type { DocumentProblem } from '@oaas/commons/client/pm';

/** Lines shown before and after the one that is meant. */
const around = 2;
/** Longer lines are cut; a problem further right than that has its column and no picture. */
const widthMax = 200;

/** The lines of a file around a problem, as they stand there; undefined where the file has no such line. */
export function frameOf(text: string, line: number): DocumentProblem['frame'] {
  const lines = text.split('\n');
  if (line < 1 || line > lines.length) return undefined;
  const first = Math.max(1, line - around);
  const shown = lines.slice(first - 1, line + around).map((each) => each.replace(/\r$/, ''));
  // What a file ends with is no line of its own.
  while (shown.length > line - first + 1 && shown.at(-1) === '') shown.pop();
  return {
    line: first,
    lines: shown.map((each) => (each.length > widthMax ? `${each.slice(0, widthMax - 1)}…` : each)),
  };
}
