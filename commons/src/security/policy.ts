/** Roles of the control plane, each with the rights of those before it. */
export const roles = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

export type Action = 'read' | 'write' | 'delete' | 'administer';

/** A role within a scope. An absent scope means everywhere. */
export interface Grant {
  readonly role: Role;
  readonly packages?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
}

export interface Subject {
  /** Name for the audit; `anonymous` for a caller without a token. */
  readonly name: string;
  readonly grants: readonly Grant[];
}

export interface Resource {
  /** Kind in the singular, such as `package`, `deployment`, `source`, `token`. */
  readonly kind: string;
  readonly name?: string | undefined;
  readonly package?: string | undefined;
  readonly environment?: string | undefined;
}

export type Decision =
  | { readonly allowed: true; readonly role: Role }
  | { readonly allowed: false; readonly needed: Role; readonly reason: string };

/** Kinds that only an administrator changes or sees, since they give access to all else. */
const administrative: ReadonlySet<string> = new Set(['token', 'user', 'grant', 'audit']);

/**
 * Whether `subject` may do `action` to `resource`. Pure. A scoped grant covers only resources that name their package
 * or environment: what is not named is not covered.
 */
export function decide(subject: Subject, action: Action, resource: Resource): Decision {
  const needed = neededRole(action, resource);
  const grant = subject.grants.find(
    ({ role, packages, environments }) =>
      roles.indexOf(role) >= roles.indexOf(needed) &&
      covers(packages, resource.package) &&
      covers(environments, resource.environment),
  );
  if (grant !== undefined) return { allowed: true, role: grant.role };
  const what = resource.name === undefined ? resource.kind : `${resource.kind} ${resource.name}`;
  return { allowed: false, needed, reason: `${subject.name} may not ${action} ${what}: it needs the role ${needed}` };
}

function neededRole(action: Action, resource: Resource): Role {
  if (administrative.has(resource.kind)) return 'admin';
  switch (action) {
    case 'read':
      return 'viewer';
    case 'write':
    case 'delete':
      return 'operator';
    case 'administer':
      return 'admin';
  }
}

function covers(scope: readonly string[] | undefined, name: string | undefined): boolean {
  return scope === undefined || (name !== undefined && scope.includes(name));
}

export function isRole(text: string): text is Role {
  return (roles as readonly string[]).includes(text);
}
