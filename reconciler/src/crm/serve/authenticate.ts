import { oaasError } from '@oaas/commons/errors';
import type { Interceptor } from '@oaas/commons/grpc';
import { parseBearer, secretsEqual } from '@oaas/commons/security';

/** Asks every call for the token. Health and reflection are served outside of interceptors. */
export function requireToken(token: string): Interceptor {
  return async (context, next) => {
    const header = context.metadata.get('authorization');
    const given = parseBearer(typeof header === 'string' ? header : undefined);
    if (given === undefined || !secretsEqual(given, token)) {
      throw oaasError('Unauthenticated', 'the call has no valid token', {
        remedy: 'Send authorization: Bearer with the token of this CRM.',
      });
    }
    await next();
  };
}
