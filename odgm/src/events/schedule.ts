import { toOaasError } from '@oaas/commons/errors';
import { backoffDelay, type Random } from '@oaas/commons/time';
import { invoke } from '@oaas/proto';
import type { Death } from '../shard/index.ts';

/** How often and for how long an event is tried. */
export interface DeliveryPolicy {
  /** Tries, the first one among them. */
  readonly attempts: number;
  /** Delay before the second try, in milliseconds; it doubles from there on. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** An event that is older, in milliseconds, is not tried again. Each one is tried once. */
  readonly maxAgeMs: number;
}

export const defaultPolicy: DeliveryPolicy = { attempts: 10, baseMs: 200, maxMs: 30_000, maxAgeMs: 300_000 };

/** How one try ended. `busy`: it was not tried, since this node has too many calls in flight. */
export type Outcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'impossible'; readonly reason: 'unknown-target' | 'rejected'; readonly error: string };

export type Verdict =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'again'; readonly afterMs: number }
  | { readonly kind: 'dead'; readonly death: Death };

/** Longest text of an error that is kept. */
const errorMax = 500;
const busyMs = 100;

/** What is to become of an event after its try number `attempts`. `ageMs`: since it came to be. */
export function verdictOf(
  outcome: Outcome,
  attempts: number,
  ageMs: number,
  policy: DeliveryPolicy,
  random: Random,
): Verdict {
  const again = (): Verdict => {
    const { baseMs, maxMs } = policy;
    return {
      kind: 'again',
      afterMs: backoffDelay(attempts - 1, { baseMs, maxMs, factor: 2, jitter: 0.5 }, random),
    };
  };
  switch (outcome.kind) {
    case 'delivered':
      return outcome;
    case 'busy':
      return { kind: 'again', afterMs: busyMs };
    case 'impossible':
      return { kind: 'dead', death: { reason: outcome.reason, attempts, error: outcome.error } };
    case 'failed':
      if (attempts < policy.attempts && ageMs < policy.maxAgeMs) return again();
      return { kind: 'dead', death: { reason: 'failed', attempts, error: outcome.error } };
  }
}

/** Of the function's answer. An answer says more than that it was reached: an application's error is tried again too. */
export function outcomeOfResponse(response: invoke.InvocationResponse): Outcome {
  const { status, headers, payload } = response;
  if (status === invoke.ResponseStatus.OKAY) return { kind: 'delivered' };
  const error = shortened(`${nameOf(status)}: ${payload?.toString('utf8') ?? ''}`);
  if (status !== invoke.ResponseStatus.INVALID_REQUEST) return { kind: 'failed', error };
  const isUnknown = headers['x-oaas-error'] === 'FunctionNotFound';
  return { kind: 'impossible', reason: isUnknown ? 'unknown-target' : 'rejected', error };
}

/** Of a call that came to no answer. */
export function outcomeOfError(thrown: unknown): Outcome {
  const { code, message } = toOaasError(thrown);
  const error = shortened(`${code}: ${message}`);
  switch (code) {
    case 'NotFound':
      return { kind: 'impossible', reason: 'unknown-target', error };
    case 'InvalidArgument':
      return { kind: 'impossible', reason: 'rejected', error };
    case 'ResourceExhausted':
      return { kind: 'busy' };
    default:
      return { kind: 'failed', error };
  }
}

function nameOf(status: invoke.ResponseStatus): string {
  return Object.entries(invoke.ResponseStatus).find(([, value]) => value === status)?.[0] ?? String(status);
}

function shortened(text: string): string {
  return text.length <= errorMax ? text : `${text.slice(0, errorMax - 1)}…`;
}
