import type { SourceInput } from '@oaas/commons/client/pm';
import { oaasError } from '@oaas/commons/errors';
import { type GitAuth, repositoryUrl } from '../../git/index.ts';

/**
 * What becomes of a source's settings: secrets that are left out stay as they were. They stay with the server that they are for: who
 * may change the address, but does not know the password, must not have it sent to a server of their own. Throws `InvalidArgument`,
 * naming what is missing or wrong.
 */
export function settledInput(given: SourceInput, before: SourceInput | undefined): SourceInput {
  repositoryUrl(given.url);
  const refs = Object.values(given.ref).filter((each) => each !== undefined);
  if (refs.length > 1)
    throw oaasError('InvalidArgument', 'ref takes one of branch, tag and commit', { remedy: 'Leave the others out.' });
  if (given.ref.commit !== undefined && !/^[0-9a-f]{40}$/.test(given.ref.commit)) {
    throw oaasError('InvalidArgument', 'ref.commit must be a full commit id of 40 hexadecimal digits', {
      remedy: 'Write out the whole id.',
    });
  }
  const webhookSecret = given.webhook_secret ?? before?.webhook_secret;
  return {
    ...given,
    auth: settledAuth(given, before),
    ...(webhookSecret === undefined ? {} : { webhook_secret: webhookSecret }),
  };
}

/** The credentials of settings that {@link settledInput} made. */
export function gitAuth({ auth }: SourceInput): GitAuth {
  switch (auth.type) {
    case 'none':
      return auth;
    case 'basic':
      return { ...auth, password: auth.password ?? '' };
    case 'bearer':
      return { ...auth, token: auth.token ?? '' };
  }
}

function settledAuth({ url, auth }: SourceInput, before: SourceInput | undefined): SourceInput['auth'] {
  const isSameServer = before !== undefined && new URL(before.url).origin === new URL(url).origin;
  const old = isSameServer ? before.auth : undefined;
  switch (auth.type) {
    case 'none':
      return auth;
    case 'basic': {
      const kept = old?.type === 'basic' && old.username === auth.username ? old.password : undefined;
      return { ...auth, password: auth.password ?? kept ?? missing('password') };
    }
    case 'bearer': {
      const kept = old?.type === 'bearer' ? old.token : undefined;
      return { ...auth, token: auth.token ?? kept ?? missing('token') };
    }
  }
}

function missing(name: string): never {
  throw oaasError('InvalidArgument', `auth.${name} is missing`, {
    remedy: `Give it: a ${name} is kept only while the repository's server and user stay the same.`,
  });
}
