import { expect, it } from 'vitest';
import { isAllowed } from './allow-list.ts';

it.each([
  ['GET', '/api/v1/sources', true],
  ['PUT', '/api/v1/sources/gitops', true],
  ['POST', '/api/v1/sources/gitops/sync', true],
  ['GET', '/api/v1/deployment-records/hello.greeter%3Acloud', true],
  ['GET', '/api/v1/grid/cloud/hello', true],
  ['PATCH', '/api/v1/sources/gitops', false],
  ['DELETE', '/api/v1/sources', false],
  ['GET', '/api/v1/tokens', false],
  ['GET', '/metrics', false],
  ['GET', '/api/v1/sources/..', false],
  ['GET', '/api/v1/sources/%2e%2e', false],
  ['GET', '/api/v1/sources/a%2Ftokens', false],
  ['GET', '/api/v1/sources/%zz', false],
])('%s %s may pass: %s', (method, path, passes) => {
  expect(isAllowed(method, path)).toBe(passes);
});
