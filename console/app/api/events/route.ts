import type { NextRequest } from 'next/server';
import { streamPmEvents } from '../../../src/server/event-stream.ts';
import { problemResponse } from '../../../src/server/problem.ts';
import { currentSession, serverRuntime } from '../../../src/server/runtime.ts';

export async function GET(request: NextRequest): Promise<Response> {
  if ((await currentSession()) === null) return problemResponse('Unauthenticated', 'Nobody is signed in.');
  const { config, timers } = serverRuntime();
  return streamPmEvents(config, request, timers);
}
