import type { FastifyRequest } from 'fastify';
import { oaasError } from '@oaas/commons/errors';
import { parseBearer, type Subject } from '@oaas/commons/security';
import { type Access, anonymousSubject, type AuthOptions, subjectOfToken } from '../access.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Routes without it are public. */
    access?: Access;
  }
  interface FastifyRequest {
    subject: Subject | undefined;
  }
}

/** Who calls. Throws `Unauthenticated`, or `PermissionDenied` for an anonymous call that a web page may have made. */
export function authenticate(request: FastifyRequest, options: AuthOptions): Subject {
  const { authorization } = request.headers;
  if (authorization === undefined) return anonymous(request, options);
  const given = parseBearer(authorization);
  const subject = given === undefined ? undefined : subjectOfToken(given, options);
  if (subject === undefined)
    throw oaasError('Unauthenticated', 'the token is not known', { remedy: 'Send a valid bearer token.' });
  return subject;
}

function anonymous(request: FastifyRequest, { anonymousRole }: AuthOptions): Subject {
  if (anonymousRole === undefined) {
    throw oaasError('Unauthenticated', 'the request has no token', { remedy: 'Send Authorization: Bearer <token>.' });
  }
  // A page of another site, or a name that was pointed at this address, must not act for whoever sits at this machine.
  const host = request.headers.host ?? '';
  const { origin } = request.headers;
  if (!isOwnHost(host) || (origin !== undefined && origin !== `http://${host}`)) {
    throw oaasError('PermissionDenied', 'requests of other sites need a token', {
      remedy: 'Send Authorization: Bearer <token>.',
    });
  }
  return anonymousSubject(anonymousRole);
}

function isOwnHost(host: string): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(host);
}
