import { PmError } from '@oaas/commons/client/pm';
import type { Failure } from '../../ui/states.tsx';

/** Any error as three texts: what, why, and what to do. */
export function failureOf(error: unknown): Failure {
  if (error instanceof PmError) {
    const { title, detail, remedy } = error.problem;
    return { title, detail: detail ?? title, remedy: remedy ?? null };
  }
  return {
    title: 'The console cannot show this',
    detail: error instanceof Error ? error.message : String(error),
    remedy: null,
  };
}

/** Whether the session of this tab is over. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof PmError && error.problem.status === 401;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof PmError && error.problem.status === 404;
}
