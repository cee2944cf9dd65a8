import { headers } from 'next/headers';
import { redirect } from 'next/navigation';
import { ConsoleProviders } from '../../src/features/shell/providers.tsx';
import { Shell } from '../../src/features/shell/shell.tsx';
import { EarlyInputScript } from '../../src/ui/early-input.tsx';
import { currentSession } from '../../src/server/runtime.ts';

export default async function ConsoleLayout({ children }: { readonly children: React.ReactNode }) {
  const session = await currentSession();
  const request = await headers();
  if (session === null) {
    const path = request.get('x-console-path') ?? '/';
    redirect(path === '/' ? '/sign-in' : `/sign-in?next=${encodeURIComponent(path)}`);
  }
  return (
    <>
      <EarlyInputScript nonce={request.get('x-nonce') ?? ''} />
      <noscript>
        <p className="bg-warn-soft px-6 py-3 text-warn">
          The console shows what changes as it changes, and needs JavaScript for it. Allow it for this site, then load
          the page again.
        </p>
      </noscript>
      <ConsoleProviders>
        <Shell user={session.user}>{children}</Shell>
      </ConsoleProviders>
    </>
  );
}
