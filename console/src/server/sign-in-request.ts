import { z } from 'zod';
import type { Credentials } from './sign-in.ts';

/** What a sign-in may weigh. More is not read. */
const maxBytes = 16_384;

const credentialsSchema = z.object({
  user: z.string().min(1).max(100),
  password: z.string().min(1).max(1000),
  next: z.string().max(2000).optional(),
});

export interface SignInRequest {
  /** Null where the body carries none. */
  readonly credentials: Credentials | null;
  /** Where a form wants to go afterwards, as it says; not to be trusted. */
  readonly next: string | null;
}

/**
 * Whether the browser itself sends the form, so that the answer must be a page to go to. That is so before the page's scripts
 * run, and where they never do.
 */
export function isForm(request: Request): boolean {
  return request.headers.get('content-type')?.startsWith('application/x-www-form-urlencoded') === true;
}

/** Reads user and password, as JSON or as a form. Whatever is wrong with the body, the answer is "no credentials". */
export async function readSignIn(request: Request): Promise<SignInRequest> {
  const text = await readText(request);
  const fields: unknown = isForm(request) ? Object.fromEntries(new URLSearchParams(text)) : parseJson(text);
  const parsed = credentialsSchema.safeParse(fields);
  const next = z.object({ next: z.string() }).safeParse(fields);
  return {
    credentials: parsed.success ? { user: parsed.data.user, password: parsed.data.password } : null,
    next: next.success ? next.data.next : null,
  };
}

async function readText(request: Request): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const body: AsyncIterable<Uint8Array> | null = request.body;
  for await (const part of body ?? []) {
    size += part.byteLength;
    if (size > maxBytes) return '';
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
