import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isOaasError } from '@oaas/commons/errors';
import { describe, expect, it } from 'vitest';
import {
  deliveryId,
  providerOf,
  RateLimit,
  readEvent,
  RecentIds,
  verifySignature,
  type WebhookHeaders,
} from './webhook.ts';

const hmac = (secret: string, body: string | Uint8Array) => createHmac('sha256', secret).update(body).digest('hex');
const isInvalid = (call: () => void) => {
  try {
    call();
    return false;
  } catch (error) {
    return isOaasError(error, 'WebhookSignatureInvalid');
  }
};

describe('a signature', () => {
  // GitHub Docs, "Validating webhook deliveries".
  const secret = "It's a Secret to Everybody";
  const body = Buffer.from('Hello, World!');
  const digits = '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';

  it.each([
    ['GitHub', { 'x-hub-signature-256': `sha256=${digits}` }],
    ['a generic sender', { 'x-signature-256': `sha256=${digits}` }],
    ['Gitea', { 'x-gitea-signature': digits }],
    ['Forgejo', { 'x-forgejo-signature': digits }],
    ['Gogs', { 'x-gogs-signature': digits }],
  ])('of %s is accepted when it is right', (_name, headers: WebhookHeaders) => {
    expect(
      isInvalid(() => {
        verifySignature(headers, body, secret);
      }),
    ).toBe(false);
  });

  it.each([
    ['is missing', {}],
    ['is empty', { 'x-hub-signature-256': '' }],
    ['has no algorithm', { 'x-hub-signature-256': digits }],
    ['is of an old algorithm', { 'x-hub-signature': `sha1=${digits.slice(0, 40)}` }],
    ['is too short', { 'x-hub-signature-256': 'sha256=7571' }],
    ['is of other bytes', { 'x-hub-signature-256': `sha256=${digits.replace('7', '8')}` }],
    [
      'is wrong, though another header has the right one',
      { 'x-hub-signature-256': 'sha256=00', 'x-gitea-signature': digits },
    ],
  ])('is refused when it %s', (_name, headers: WebhookHeaders) => {
    expect(
      isInvalid(() => {
        verifySignature(headers, body, secret);
      }),
    ).toBe(true);
  });

  it('covers the raw bytes: one more space is another body', () => {
    const headers = { 'x-hub-signature-256': `sha256=${hmac('s', '{"a":1}')}` };
    expect(
      isInvalid(() => {
        verifySignature(headers, Buffer.from('{"a": 1}'), 's');
      }),
    ).toBe(true);
  });
});

describe('a delivery', () => {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));

  it('in a form is read like one in JSON', () => {
    const payload = JSON.stringify({ ref: 'refs/heads/main' });
    const form = Buffer.from(new URLSearchParams({ payload }).toString());
    const headers = { 'x-github-event': 'push', 'content-type': 'application/x-www-form-urlencoded' };
    expect(readEvent(headers, form)).toEqual({ type: 'push', ref: 'refs/heads/main', deleted: false });
  });

  it.each([
    ['a ping', { 'x-github-event': 'ping' }, Buffer.from('{'), { type: 'ping' }],
    ['another event', { 'x-github-event': 'pull_request' }, json({}), { type: 'other', event: 'pull_request' }],
    [
      'a new tag',
      { 'x-gitea-event': 'create' },
      json({ ref: 'v1', ref_type: 'tag' }),
      { type: 'push', ref: 'refs/tags/v1', deleted: false },
    ],
    [
      'a deleted branch',
      { 'x-github-event': 'push' },
      json({ ref: 'refs/heads/x', deleted: true }),
      { type: 'push', ref: 'refs/heads/x', deleted: true },
    ],
    ['a generic call without a body', {}, Buffer.alloc(0), { type: 'push', ref: undefined, deleted: false }],
  ])('of %s is told apart', (_name, headers: WebhookHeaders, body, expected) => {
    expect(readEvent(headers, body)).toEqual(expected);
  });

  it.each([['{'], ['[]'], ['"text"']])('with the body %s is refused', (text) => {
    expect(() => readEvent({ 'x-github-event': 'push' }, Buffer.from(text))).toThrow('not a JSON object');
  });

  it('of a forge that also sends GitHub’s headers is known as its own', () => {
    expect(providerOf({ 'x-github-event': 'push', 'x-gitea-event': 'push', 'x-gogs-event': 'push' })).toBe('gitea');
    expect(providerOf({ 'x-github-event': 'push', 'x-gogs-event': 'push' })).toBe('gogs');
    expect(providerOf({})).toBe('generic');
    expect(deliveryId({ 'x-github-delivery': 'a', 'x-gitea-delivery': 'b' })).toBe('b');
  });
});

const payloads = process.env['OAAS_WEBHOOK_PAYLOADS'];
it.skipIf(payloads === undefined).each([
  ['github/push.json', 'x-github-event'],
  ['gitea/push-event.json', 'x-gitea-event'],
  ['gogs/push-event.json', 'x-gogs-event'],
])('a push that a real forge sent (%s) names its ref', (file, header) => {
  const body = readFileSync(`${payloads ?? ''}/${file}`);
  verifySignature({ 'x-hub-signature-256': `sha256=${hmac('secret', body)}` }, body, 'secret');
  const event = readEvent({ [header]: 'push' }, body);
  expect(event).toMatchObject({ type: 'push', ref: expect.stringMatching(/^refs\/heads\//) as string });
});

describe('bounds', () => {
  it('an id counts as new once, and again only after many others', () => {
    const ids = new RecentIds(3);
    expect(['a', 'a', 'b', 'c', 'd', 'a'].map((id) => ids.add(id))).toEqual([true, false, true, true, true, true]);
  });

  it('a rate lets a burst through, then so many a second', () => {
    const limit = new RateLimit({ burst: 3, perSecond: 2 });
    expect([0, 0, 0, 0, 400, 500, 500].map((at) => limit.take(at))).toEqual([
      true,
      true,
      true,
      false,
      false,
      true,
      false,
    ]);
  });
});
