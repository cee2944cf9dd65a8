import { createHmac } from 'node:crypto';
import { oaasError } from '@oaas/commons/errors';
import { parseBearer, secretsEqual } from '@oaas/commons/security';
import type { Clock } from '@oaas/commons/time';
import { z } from 'zod';

export type Permission = 'Read' | 'Write' | 'Delete' | 'Admin';

/** What a call needs. Without a collection it is about the whole grid. */
export interface Need {
  readonly permission: Permission;
  readonly collection?: string | undefined;
}

const headerSchema = z.object({ alg: z.literal('HS256'), crit: z.undefined().optional() });
const claimsSchema = z.object({
  sub: z.string().min(1).max(200),
  /** `*` or one collection. */
  collection: z.string().min(1),
  permissions: z.array(z.string()),
  /** Seconds since the epoch. */
  exp: z.number(),
  nbf: z.number().optional(),
});

type Claims = z.output<typeof claimsSchema>;

export interface AdminAccessOptions {
  /** Whoever has it may do everything. */
  readonly token?: string | undefined;
  /** Key of signed tokens (JWT, RFC 7519, by HMAC with SHA-256), which say themselves what their holder may do. */
  readonly jwtSecret?: string | undefined;
  readonly clock: Clock;
}

/** Who may administer the grid. Without a token and a key everybody may. */
export class AdminAccess {
  readonly #options: AdminAccessOptions;

  constructor(options: AdminAccessOptions) {
    this.#options = options;
  }

  /** Throws `Unauthenticated` for a caller that is not known, `PermissionDenied` for one that may not. */
  check(authorization: string | undefined, need: Need): void {
    const { token, jwtSecret } = this.#options;
    if (token === undefined && jwtSecret === undefined) return;
    const given = parseBearer(authorization);
    if (given !== undefined && token !== undefined && secretsEqual(given, token)) return;
    const claims = this.#claimsOf(given);
    if (claims === undefined) {
      throw oaasError('Unauthenticated', 'the administration of the grid asks for a token', {
        remedy: 'Send "authorization: Bearer" with the token of this grid.',
      });
    }
    if (allows(claims, need)) return;
    const what = need.collection === undefined ? 'the whole grid' : `collection ${need.collection}`;
    throw oaasError('PermissionDenied', `${claims.sub} may not do this: it needs ${need.permission} for ${what}`, {
      remedy: 'Ask for a token with that permission.',
    });
  }

  /** Whom a signed token was given to: what such a caller says of itself besides does not count. */
  subjectOf(authorization: string | undefined): string | undefined {
    return this.#claimsOf(parseBearer(authorization))?.sub;
  }

  /** Undefined for anything but a token that this grid's key has signed and whose time it is. */
  #claimsOf(token: string | undefined): Claims | undefined {
    const { jwtSecret, clock } = this.#options;
    const [header = '', payload = '', signature = '', ...rest] = (token ?? '').split('.');
    if (jwtSecret === undefined || signature === '' || rest.length > 0) return undefined;
    const signed = createHmac('sha256', jwtSecret).update(`${header}.${payload}`).digest();
    if (!secretsEqual(signed, Buffer.from(signature, 'base64url'))) return undefined;
    if (!headerSchema.safeParse(jsonOf(header)).success) return undefined;
    const claims = claimsSchema.safeParse(jsonOf(payload));
    const now = clock.now() / 1000;
    if (!claims.success || claims.data.exp <= now || (claims.data.nbf ?? 0) > now) return undefined;
    return claims.data;
  }
}

/** `Admin` implies the rest. */
function allows({ collection, permissions }: Claims, need: Need): boolean {
  const covers = collection === '*' || collection === need.collection;
  return covers && (permissions.includes('Admin') || permissions.includes(need.permission));
}

function jsonOf(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return undefined;
  }
}
