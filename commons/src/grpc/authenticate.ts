import { oaasError } from '../errors/index.ts';
import { parseBearer, type Subject } from '../security/index.ts';
import type { CallContext } from './definition.ts';
import { type PeerIdentity, peerIdentityKey } from './identity.ts';
import type { Interceptor } from './interceptor.ts';

/** What a caller has shown of itself. */
export interface Credentials {
  /** Of `authorization: Bearer <token>`. */
  readonly token: string | undefined;
  /** Of mutual TLS. */
  readonly identity: PeerIdentity | undefined;
}

const subjectKey = 'subject';

/** Who makes the call, once {@link authenticate} has let it in. */
export function subjectOf(context: CallContext): Subject | undefined {
  return context.attributes.get(subjectKey) as Subject | undefined;
}

/**
 * Lets in the calls of whom `verify` knows, and refuses all others as `Unauthenticated`. Health and reflection are served
 * outside of interceptors.
 *
 * @param verify the subject of the credentials, or undefined when they are not good.
 */
export function authenticate(
  verify: (credentials: Credentials) => Subject | undefined | Promise<Subject | undefined>,
): Interceptor {
  return async (context, next) => {
    const token = parseBearer(context.metadata.get('authorization'));
    const identity = context.attributes.get(peerIdentityKey) as PeerIdentity | undefined;
    const subject = await verify({ token, identity });
    if (subject === undefined) {
      throw oaasError('Unauthenticated', 'the call has no valid credentials', {
        remedy: 'Send "authorization: Bearer" with a token, or show a client certificate, as this server is set up.',
      });
    }
    context.attributes.set(subjectKey, subject);
    await next();
  };
}
