import { NextResponse, type NextRequest } from 'next/server';
import { safeNextPath } from '../../../src/features/session/next-path.ts';
import { refusedPath, type Refusal } from '../../../src/features/session/refusal.ts';
import { problemResponse } from '../../../src/server/problem.ts';
import { serverRuntime } from '../../../src/server/runtime.ts';
import { isSameOrigin } from '../../../src/server/same-origin.ts';
import { cookieName, sealSession, sessionSeconds } from '../../../src/server/session.ts';
import { isForm, readSignIn } from '../../../src/server/sign-in-request.ts';
import { credentialsMatch } from '../../../src/server/sign-in.ts';

function cookieOptions(request: NextRequest) {
  const protocol = request.headers.get('x-forwarded-proto') ?? request.nextUrl.protocol;
  return { httpOnly: true, sameSite: 'lax', secure: protocol.startsWith('https'), path: '/' } as const;
}

/** The next page of a form that the browser itself sent. The address is relative: only the browser knows the host it asked. */
function seeOther(location: string): NextResponse {
  return new NextResponse(null, { status: 303, headers: { location, 'cache-control': 'no-store' } });
}

/** Sign-in: with JSON by the page's script, or by the browser itself, which is led to its next page. */
export async function POST(request: NextRequest): Promise<Response> {
  const form = isForm(request);
  if (!isSameOrigin(request.headers)) return form ? seeOther(refusedPath('foreign', '/')) : foreign();

  const { config, clock, limiter } = serverRuntime();
  const { credentials, next } = await readSignIn(request);
  const path = safeNextPath(next);
  const refuse = (refusal: Refusal, problem: () => Response) =>
    form ? seeOther(refusedPath(refusal, path)) : problem();

  const waitMs = limiter.waitMs();
  if (waitMs > 0) {
    const seconds = Math.ceil(waitMs / 1000);
    return refuse('limited', () =>
      problemResponse('ResourceExhausted', 'Too many sign-ins have failed.', {
        remedy: `Wait ${seconds} s, then try again.`,
        headers: { 'retry-after': String(seconds) },
      }),
    );
  }
  if (credentials === null) {
    return refuse('incomplete', () => problemResponse('InvalidArgument', 'The request carries no user and password.'));
  }
  if (!credentialsMatch(credentials, config.password)) {
    limiter.failed();
    return refuse('wrong', () => problemResponse('Unauthenticated', 'The user name or the password is wrong.'));
  }
  const response = form ? seeOther(path) : NextResponse.json({ user: credentials.user });
  response.cookies.set(cookieName(config.cookieKey), await sealSession(credentials.user, config.cookieKey, clock), {
    ...cookieOptions(request),
    maxAge: sessionSeconds,
  });
  return response;
}

/** Sign-out. */
export function DELETE(request: NextRequest): Response {
  if (!isSameOrigin(request.headers)) return foreign();
  const response = new NextResponse(null, { status: 204 });
  response.cookies.set(cookieName(serverRuntime().config.cookieKey), '', { ...cookieOptions(request), maxAge: 0 });
  return response;
}

function foreign(): Response {
  return problemResponse('PermissionDenied', 'The request does not come from a page of this console.');
}
