import { AsyncLocalStorage } from 'node:async_hooks';
import { type Random, randomHex } from '../time/index.ts';

/** Header (HTTP) and metadata key (gRPC) that carries the correlation id from service to service. */
export const correlationHeader = 'x-correlation-id';

// An AsyncLocalStorage is a key into the current call's context, not state of its own.
const storage = new AsyncLocalStorage<string>();

/** Runs `fn`, and whatever it starts, under the correlation id `id`. */
export function withCorrelation<T>(id: string, fn: () => T): T {
  return storage.run(id, fn);
}

/** The correlation id of the call that is going on, if any. */
export function currentCorrelationId(): string | undefined {
  return storage.getStore();
}

/** A new correlation id: 32 hexadecimal digits. */
export function newCorrelationId(random: Random): string {
  return randomHex(random, 16);
}

/**
 * The id that a caller sent, if it may go into logs and headers: 1..128 printable ASCII characters without spaces.
 * Anything else is dropped, since ids from outside are input like any other.
 */
export function acceptCorrelationId(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\x21-\x7e]{1,128}$/.test(value) ? value : undefined;
}
