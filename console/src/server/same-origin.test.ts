import { expect, it } from 'vitest';
import { isSameOrigin } from './same-origin.ts';

it.each([
  ['our own page', { 'sec-fetch-site': 'same-origin', host: 'a:1' }, true],
  ['another site', { 'sec-fetch-site': 'cross-site', origin: 'http://a:1', host: 'a:1' }, false],
  ['another port of this host', { 'sec-fetch-site': 'same-site', host: 'a:1' }, false],
  ['an older browser on our page', { origin: 'http://a:1', host: 'a:1' }, true],
  ['an older browser elsewhere', { origin: 'http://b:1', host: 'a:1' }, false],
  ['an opaque origin', { origin: 'null', host: 'a:1' }, false],
  ['a caller that says nothing', { host: 'a:1' }, false],
])('a change asked for by %s', (_who, headers, allowed) => {
  expect(isSameOrigin(new Headers(headers as Record<string, string>))).toBe(allowed);
});
