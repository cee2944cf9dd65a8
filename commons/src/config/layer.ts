import type { ConfigProblem } from './problems.ts';

/** One setting from one place. */
export interface Setting {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly origin: string;
}

/** What one place (a profile, the file, the environment, the flags) says. */
export interface Layer {
  readonly settings: readonly Setting[];
  readonly problems: readonly ConfigProblem[];
}
