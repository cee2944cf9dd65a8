import { distance } from 'fastest-levenshtein';
import { oaasError, type OaasError } from '../errors/index.ts';

/** One thing that is wrong with the configuration. */
export interface ConfigProblem {
  /** `file.yaml:3`, `variable OPRC_PM_PORT`, `flag --port`, `profile "full"`, `default`. */
  readonly origin: string;
  /** Dotted path of the setting; empty when the place has none. */
  readonly path: string;
  readonly message: string;
}

/** All problems of one load as one error. */
export function configInvalid(problems: readonly ConfigProblem[]): OaasError {
  const lines = problems.map(
    ({ origin, path, message }) => `  - ${origin}: ${path === '' ? '' : `${path}: `}${message}`,
  );
  const count = problems.length === 1 ? 'one setting is' : `${String(problems.length)} settings are`;
  return oaasError('ConfigInvalid', `${count} not valid\n${lines.join('\n')}`, {
    remedy: 'Correct each named setting and start again; --help lists them all.',
    details: { problems: problems.map((problem) => ({ ...problem })) },
  });
}

/** ` (did you mean "x"?)` for the known name that is nearest to `name`, or nothing when none is near. */
export function suggestion(name: string, known: Iterable<string>): string {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const candidateDistance = distance(name.toLowerCase(), candidate.toLowerCase());
    if (candidateDistance < bestDistance) {
      best = candidate;
      bestDistance = candidateDistance;
    }
  }
  return best === undefined ? '' : `; did you mean "${best}"?`;
}
