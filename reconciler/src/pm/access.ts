import { oaasError } from '@oaas/commons/errors';
import { type Action, decide, type Role, secretsEqual, type Subject } from '@oaas/commons/security';

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

/** What a call needs and what it is called in the audit. */
export interface Access {
  readonly action: Action;
  readonly kind: string;
  /** Name in the audit, such as `source.sync`. Absent: the call changes nothing. */
  readonly audit?: string;
}

/** Whose token it is; undefined for one that is not known. */
export function subjectOfToken(given: string, { tokens }: AuthOptions): Subject | undefined {
  // All are compared, so that the time does not tell which one was near.
  const [match] = tokens.filter((each) => secretsEqual(each.token, given));
  return match === undefined ? undefined : { name: match.name, grants: [{ role: match.role }] };
}

export function anonymousSubject(role: Role): Subject {
  return { name: 'anonymous', grants: [{ role }] };
}

/** Throws `PermissionDenied` where the subject may not do what the call does. */
export function authorise(subject: Subject, access: Access, name: string | undefined): void {
  const decision = decide(subject, access.action, { kind: access.kind, name });
  if (decision.allowed) return;
  throw oaasError('PermissionDenied', decision.reason, { details: { needed: decision.needed } });
}

export function roleOf(subject: Subject): Role {
  return subject.grants[0]?.role ?? 'viewer';
}
