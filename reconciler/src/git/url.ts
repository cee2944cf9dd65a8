import { oaasError } from '@oaas/commons/errors';

/** The address of a repository, checked. Throws `ConfigInvalid` for anything but http(s) without credentials in it. */
export function repositoryUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw oaasError('ConfigInvalid', 'the URL of the repository cannot be read', {
      remedy: 'Write it as https://host/path.git.',
      cause,
    });
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw oaasError('ConfigInvalid', `repositories are read over https or http, not ${url.protocol.slice(0, -1)}`, {
      remedy: 'Use the https URL of the repository.',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw oaasError('ConfigInvalid', 'the URL of the repository has credentials in it', {
      remedy: 'Put them into auth: {type: basic, username, password}.',
    });
  }
  return url;
}
