import { oaasError } from '@oaas/commons/errors';
import { parseBearer, secretsEqual } from '@oaas/commons/security';
import type { Clock } from '@oaas/commons/time';
import { jwtVerify } from 'jose';
import { z } from 'zod';

export type Permission = 'Read' | 'Write' | 'Delete' | 'Admin';

/** What a call needs. Without a collection it is about the whole grid. */
export interface Need {
  readonly permission: Permission;
  readonly collection?: string | undefined;
}

const claimsSchema = z.object({
  sub: z.string().min(1).max(200),
  /** `*` or one collection. */
  collection: z.string().min(1),
  permissions: z.array(z.string()),
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
  readonly #key: Uint8Array | undefined;

  constructor(options: AdminAccessOptions) {
    this.#options = options;
    this.#key = options.jwtSecret === undefined ? undefined : new TextEncoder().encode(options.jwtSecret);
  }

  /** Rejects with `Unauthenticated` for a caller that is not known, `PermissionDenied` for one that may not. */
  async check(authorization: string | undefined, need: Need): Promise<void> {
    const { token } = this.#options;
    if (token === undefined && this.#key === undefined) return;
    const given = parseBearer(authorization);
    if (given !== undefined && token !== undefined && secretsEqual(given, token)) return;
    const claims = await this.#claimsOf(given);
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
  async subjectOf(authorization: string | undefined): Promise<string | undefined> {
    return (await this.#claimsOf(parseBearer(authorization)))?.sub;
  }

  /** Undefined for anything but a token that this grid's key has signed and whose time it is. */
  async #claimsOf(token: string | undefined): Promise<Claims | undefined> {
    if (this.#key === undefined || token === undefined) return undefined;
    const currentDate = new Date(this.#options.clock.now());
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: ['HS256'],
        requiredClaims: ['exp'],
        currentDate,
      });
      return claimsSchema.safeParse(payload).data;
    } catch {
      return undefined;
    }
  }
}

/** `Admin` implies the rest. */
function allows({ collection, permissions }: Claims, need: Need): boolean {
  const covers = collection === '*' || collection === need.collection;
  return covers && (permissions.includes('Admin') || permissions.includes(need.permission));
}
