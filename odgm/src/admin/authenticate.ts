import { oaasError } from '@oaas/commons/errors';
import { parseBearer, secretsEqual } from '@oaas/commons/security';

/** Throws `Unauthenticated` unless the header brings the token of the grid. */
export function authenticate(authorization: string | undefined, token: string): void {
  const given = parseBearer(authorization);
  if (given !== undefined && secretsEqual(given, token)) return;
  throw oaasError('Unauthenticated', 'the administration of the grid asks for a token', {
    remedy: 'Send "authorization: Bearer" with the token of this grid.',
  });
}
