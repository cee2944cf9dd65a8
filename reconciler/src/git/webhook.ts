import { createHmac, timingSafeEqual } from 'node:crypto';
import { oaasError } from '@oaas/commons/errors';

export type WebhookProvider = 'github' | 'gitea' | 'gogs' | 'generic';

/** Header names in lower case, as node:http has them. */
export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Bytes of a body. Over it the request is answered 413 without being read. */
export const webhookBodyMaxBytes = 5 * 1024 * 1024;

/** What a delivery says, once its signature is known to be right. */
export type WebhookEvent =
  | { readonly type: 'ping' }
  /** `ref` is a full name such as refs/heads/main; undefined: the sender does not say which. */
  | { readonly type: 'push'; readonly ref: string | undefined; readonly deleted: boolean }
  | { readonly type: 'other'; readonly event: string };

/** Signature headers in the order in which they are looked for, and what stands before the hexadecimal digits. */
const signatures: readonly (readonly [string, string])[] = [
  ['x-hub-signature-256', 'sha256='],
  ['x-signature-256', 'sha256='],
  ['x-forgejo-signature', ''],
  ['x-gitea-signature', ''],
  ['x-gogs-signature', ''],
];

/** The forge that sent a delivery. Gitea and Gogs also send GitHub's headers, so they are looked for first. */
export function providerOf(headers: WebhookHeaders): WebhookProvider {
  if (headers['x-gitea-event'] !== undefined || headers['x-forgejo-event'] !== undefined) return 'gitea';
  if (headers['x-gogs-event'] !== undefined) return 'gogs';
  return headers['x-github-event'] !== undefined ? 'github' : 'generic';
}

/** The id under which a forge sends, and sends again, one delivery. */
export function deliveryId(headers: WebhookHeaders): string | undefined {
  for (const name of [
    'x-gitea-delivery',
    'x-forgejo-delivery',
    'x-gogs-delivery',
    'x-github-delivery',
    'x-delivery-id',
  ]) {
    const value = one(headers, name);
    if (value !== undefined && value !== '') return value.slice(0, 200);
  }
  return undefined;
}

/**
 * Checks the HMAC-SHA-256 of the raw bytes, in constant time and before anything of them is read. Throws
 * `WebhookSignatureInvalid` where it is missing or wrong.
 */
export function verifySignature(headers: WebhookHeaders, body: Uint8Array, secret: string): void {
  for (const [name, before] of signatures) {
    const value = one(headers, name);
    if (value === undefined) continue;
    const expected = createHmac('sha256', secret).update(body).digest();
    const given = value.startsWith(before) ? Buffer.from(value.slice(before.length), 'hex') : Buffer.alloc(0);
    // The lengths are public; only the bytes must not be told by time.
    if (given.length === expected.length && timingSafeEqual(given, expected)) return;
    throw oaasError('WebhookSignatureInvalid', 'the signature of the delivery is wrong', {
      remedy: "Give the forge and the source's webhook_secret the same value.",
    });
  }
  throw oaasError('WebhookSignatureInvalid', 'the delivery has no signature', {
    remedy: 'Set a secret for the webhook on the forge; signatures are HMAC-SHA-256.',
  });
}

/** Reads a delivery. Throws `InvalidArgument` where the body is neither JSON nor a form with a JSON payload. */
export function readEvent(headers: WebhookHeaders, body: Uint8Array): WebhookEvent {
  const event =
    one(headers, 'x-gitea-event') ??
    one(headers, 'x-forgejo-event') ??
    one(headers, 'x-gogs-event') ??
    one(headers, 'x-github-event') ??
    'push';
  if (event === 'ping') return { type: 'ping' };
  const payload = readPayload(one(headers, 'content-type') ?? '', body);
  if (event !== 'push' && event !== 'create') return { type: 'other', event: event.slice(0, 100) };
  const ref = typeof payload['ref'] === 'string' ? payload['ref'] : undefined;
  return {
    type: 'push',
    ref: ref === undefined ? undefined : fullRef(ref, payload['ref_type']),
    deleted: payload['deleted'] === true,
  };
}

/** `create` events carry the short name and say beside it what it is. */
function fullRef(ref: string, type: unknown): string {
  if (ref.startsWith('refs/')) return ref;
  return type === 'tag' ? `refs/tags/${ref}` : `refs/heads/${ref}`;
}

function readPayload(contentType: string, body: Uint8Array): Readonly<Record<string, unknown>> {
  const text = Buffer.from(body).toString('utf8');
  const isForm = contentType.toLowerCase().startsWith('application/x-www-form-urlencoded');
  const json = isForm ? (new URLSearchParams(text).get('payload') ?? '') : text;
  if (!isForm && json.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below, together with JSON that is no object.
  }
  throw oaasError('InvalidArgument', 'the body of the delivery is not a JSON object', {
    remedy: 'Set the content type of the webhook to application/json.',
  });
}

function one(headers: WebhookHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

/** Remembers the last ids that came by. At the bound the oldest is forgotten: a delivery that old would only lead to one more check. */
export class RecentIds {
  readonly #ids = new Set<string>();
  readonly #max: number;

  constructor(max = 1000) {
    this.#max = max;
  }

  /** True the first time. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > this.#max && oldest !== undefined) this.#ids.delete(oldest);
    return true;
  }
}

/** A token bucket: `burst` at once, then `perSecond`. */
export class RateLimit {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #atMs = 0;

  constructor(options: { readonly burst: number; readonly perSecond: number }) {
    this.#burst = options.burst;
    this.#perSecond = options.perSecond;
    this.#tokens = options.burst;
  }

  /** True where one more is allowed now. `nowMs` must not go back. */
  take(nowMs: number): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#atMs) / 1000) * this.#perSecond);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
