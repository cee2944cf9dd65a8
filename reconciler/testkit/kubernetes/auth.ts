import { randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { isJson } from './types.ts';

/** What the server proves itself with, and what clients prove themselves with. */
export interface Identity {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
  /** Bearer token of the one administrator. */
  readonly token: string;
}

const FILE = 'identity.json';
const DAY_MS = 86_400_000;
const VALID_DAYS = 3_650;
/** A certificate that ends sooner is made anew at start. */
const RENEW_DAYS = 30;

/** Reads the identity of `dir`, or makes one: a CA, a server certificate for 127.0.0.1 and localhost, and a token. */
export async function loadIdentity(dir: string | undefined, nowMs: number): Promise<Identity> {
  const path = dir === undefined ? undefined : join(dir, FILE);
  const stored = path === undefined ? undefined : await readIdentity(path);
  if (
    stored !== undefined &&
    new Date(new X509Certificate(stored.certPem).validTo).getTime() > nowMs + RENEW_DAYS * DAY_MS
  )
    return stored;
  const made = await makeIdentity(nowMs, stored?.token);
  if (path !== undefined && dir !== undefined) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await writeFile(`${path}.new`, JSON.stringify(made), { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
  return made;
}

async function readIdentity(path: string): Promise<Identity | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isJson(error) && error['code'] === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as Identity);
}

async function makeIdentity(nowMs: number, token: string | undefined): Promise<Identity> {
  const dates = { notBeforeDate: new Date(nowMs - DAY_MS), notAfterDate: new Date(nowMs + VALID_DAYS * DAY_MS) };
  const ca = await generate([{ name: 'commonName', value: 'embedded-kubernetes-ca' }], {
    ...dates,
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: 'kubernetes' }], {
    ...dates,
    keyType: 'ec',
    algorithm: 'sha256',
    ca: { key: ca.private, cert: ca.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 2, value: 'kubernetes.default.svc' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  return {
    caPem: ca.cert,
    certPem: server.cert,
    keyPem: server.private,
    token: token ?? randomBytes(32).toString('base64url'),
  };
}

/** Checks an Authorization header, in constant time. */
export function isAuthorized(header: string | undefined, token: string): boolean {
  const match = /^Bearer +(\S+)$/i.exec(header ?? '');
  const given = Buffer.from(match?.[1] ?? '');
  const wanted = Buffer.from(token);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
