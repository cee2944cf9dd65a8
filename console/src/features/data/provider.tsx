'use client';

import { createPmClient, PmError, type PmClient } from '@oaas/commons/client/pm';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createContext, use, useState } from 'react';
import { isSignedOut } from './failure.ts';

const PmContext = createContext<PmClient | null>(null);

/** PM as the browser reaches it: through this console, which adds the token. */
export function usePm(): PmClient {
  const pm = use(PmContext);
  if (pm === null) throw new Error('usePm is used outside of DataProvider');
  return pm;
}

/** The session ran out while a page was open: sign in, and come back to this page. */
function leaveForSignIn(error: unknown): void {
  if (!isSignedOut(error) || window.location.pathname === '/sign-in') return;
  const here = `${window.location.pathname}${window.location.search}`;
  window.location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
}

function retries(count: number, error: unknown): boolean {
  // Only what may pass by itself is tried again.
  return count < 2 && error instanceof PmError && error.problem.status >= 500;
}

export function DataProvider({ children, client }: { readonly children: React.ReactNode; readonly client?: PmClient }) {
  const [pm] = useState(
    () => client ?? createPmClient({ baseUrl: '/api/pm', fetch: (input, init) => fetch(input, init) }),
  );
  const [queries] = useState(
    () =>
      new QueryClient({
        queryCache: new QueryCache({ onError: leaveForSignIn }),
        mutationCache: new MutationCache({ onError: leaveForSignIn }),
        defaultOptions: {
          queries: { staleTime: 10_000, gcTime: 300_000, retry: retries, retryDelay: (count) => 500 * 2 ** count },
        },
      }),
  );
  return (
    <PmContext value={pm}>
      <QueryClientProvider client={queries}>{children}</QueryClientProvider>
    </PmContext>
  );
}
