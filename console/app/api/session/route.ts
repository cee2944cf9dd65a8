import { cookies } from 'next/headers';
import type { NextRequest } from 'next/server';
import { z } from 'zod';
import { problemResponse } from '../../../src/server/problem.ts';
import { serverRuntime } from '../../../src/server/runtime.ts';
import { isSameOrigin } from '../../../src/server/same-origin.ts';
import { cookieName, sealSession, sessionSeconds } from '../../../src/server/session.ts';
import { credentialsMatch } from '../../../src/server/sign-in.ts';

const credentials = z.object({ user: z.string().max(100), password: z.string().max(1000) });

function cookieOptions(request: NextRequest) {
  const protocol = request.headers.get('x-forwarded-proto') ?? request.nextUrl.protocol;
  return { httpOnly: true, sameSite: 'lax', secure: protocol.startsWith('https'), path: '/' } as const;
}

/** Sign-in. */
export async function POST(request: NextRequest): Promise<Response> {
  if (!isSameOrigin(request.headers)) {
    return problemResponse('PermissionDenied', 'The request does not come from a page of this console.');
  }
  const { config, clock, limiter } = serverRuntime();
  const waitMs = limiter.waitMs();
  if (waitMs > 0) {
    const seconds = Math.ceil(waitMs / 1000);
    return problemResponse('ResourceExhausted', 'Too many sign-ins have failed.', {
      remedy: `Wait ${seconds} s, then try again.`,
      headers: { 'retry-after': String(seconds) },
    });
  }
  const parsed = credentials.safeParse(await request.json().catch(() => null));
  if (!parsed.success) return problemResponse('InvalidArgument', 'The request carries no user and password.');
  if (!credentialsMatch(parsed.data, config.password)) {
    limiter.failed();
    return problemResponse('Unauthenticated', 'The user name or the password is wrong.');
  }
  const jar = await cookies();
  jar.set(cookieName(config.cookieKey), await sealSession(parsed.data.user, config.cookieKey, clock), {
    ...cookieOptions(request),
    maxAge: sessionSeconds,
  });
  return Response.json({ user: parsed.data.user });
}

/** Sign-out. */
export async function DELETE(request: NextRequest): Promise<Response> {
  if (!isSameOrigin(request.headers)) {
    return problemResponse('PermissionDenied', 'The request does not come from a page of this console.');
  }
  const jar = await cookies();
  jar.set(cookieName(serverRuntime().config.cookieKey), '', { ...cookieOptions(request), maxAge: 0 });
  return new Response(null, { status: 204 });
}
