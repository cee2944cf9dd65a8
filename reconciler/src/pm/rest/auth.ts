import type { FastifyRequest } from 'fastify';
import { oaasError } from '@oaas/commons/errors';
import { type Action, decide, parseBearer, type Role, secretsEqual, type Subject } from '@oaas/commons/security';

export interface TokenConfig {
  /** Who it is, for the audit. */
  readonly name: string;
  readonly role: Role;
  readonly token: string;
}

export interface AuthOptions {
  readonly tokens: readonly TokenConfig[];
  /** What callers without a token may do; absent: nothing. Only sensible where PM listens on loopback. */
  readonly anonymousRole?: Role | undefined;
}

/** What a route needs and what it is called in the audit. Routes without it are public. */
export interface Access {
  readonly action: Action;
  readonly kind: string;
  /** Name in the audit, such as `source.sync`. Absent: the call changes nothing. */
  readonly audit?: string;
}

declare module 'fastify' {
  interface FastifyContextConfig {
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
  // All are compared, so that the time does not tell which one was near.
  const matches = given === undefined ? [] : options.tokens.filter((each) => secretsEqual(each.token, given));
  const [match] = matches;
  if (match === undefined)
    throw oaasError('Unauthenticated', 'the token is not known', { remedy: 'Send a valid bearer token.' });
  return { name: match.name, grants: [{ role: match.role }] };
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
  return { name: 'anonymous', grants: [{ role: anonymousRole }] };
}

function isOwnHost(host: string): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(host);
}

/** Throws `PermissionDenied` where the subject may not do what the route does. */
export function authorise(subject: Subject, access: Access, name: string | undefined): void {
  const decision = decide(subject, access.action, { kind: access.kind, name });
  if (decision.allowed) return;
  throw oaasError('PermissionDenied', decision.reason, { details: { needed: decision.needed } });
}

export function roleOf(subject: Subject): Role {
  return subject.grants[0]?.role ?? 'viewer';
}
