import type { NextRequest } from 'next/server';
import { proxyToPm } from '../../../../src/server/pm-proxy.ts';
import { problemResponse } from '../../../../src/server/problem.ts';
import { currentSession, serverRuntime } from '../../../../src/server/runtime.ts';
import { isSameOrigin } from '../../../../src/server/same-origin.ts';

const prefix = '/api/pm';

async function handle(request: NextRequest): Promise<Response> {
  if (request.method !== 'GET' && !isSameOrigin(request.headers)) {
    return problemResponse('PermissionDenied', 'The request does not come from a page of this console.');
  }
  if ((await currentSession()) === null) return problemResponse('Unauthenticated', 'Nobody is signed in.');
  // From the URL as it was sent: the route's own parameters are decoded already.
  const { pathname, search } = new URL(request.url);
  return proxyToPm(serverRuntime().config, request, pathname.slice(prefix.length), search);
}

export { handle as GET, handle as POST, handle as PUT, handle as DELETE };
