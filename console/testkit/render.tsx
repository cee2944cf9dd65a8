import { render } from '@testing-library/react';
import { createPmClient } from '@oaas/commons/client/pm';
import { DataProvider } from '../src/features/data/provider.tsx';
import { NowProvider } from '../src/ui/now.tsx';
import { TooltipProvider } from '../src/ui/tooltip.tsx';
import type { FixturePm } from './fixture-pm.ts';

/** Renders a part of the console over a fixture PM, reached over a real socket. */
export function renderConsole(pm: Pick<FixturePm, 'url' | 'token'>, children: React.ReactNode) {
  const client = createPmClient({ baseUrl: pm.url, token: pm.token });
  return render(
    <NowProvider>
      <DataProvider client={client}>
        <TooltipProvider>{children}</TooltipProvider>
      </DataProvider>
    </NowProvider>,
  );
}
