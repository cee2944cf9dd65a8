'use client';

import { ThemeProvider } from 'next-themes';
import { NowProvider } from '../../ui/now.tsx';
import { TooltipProvider } from '../../ui/tooltip.tsx';
import { DataProvider } from '../data/provider.tsx';
import { LiveProvider } from '../live/provider.tsx';

export function ThemeRoot({ children, nonce }: { readonly children: React.ReactNode; readonly nonce: string }) {
  return (
    <ThemeProvider attribute="class" defaultTheme="system" enableSystem disableTransitionOnChange nonce={nonce}>
      {children}
    </ThemeProvider>
  );
}

/** What every page behind the sign-in stands on. */
export function ConsoleProviders({ children }: { readonly children: React.ReactNode }) {
  return (
    <NowProvider>
      <DataProvider>
        <LiveProvider>
          <TooltipProvider delayDuration={350}>{children}</TooltipProvider>
        </LiveProvider>
      </DataProvider>
    </NowProvider>
  );
}
