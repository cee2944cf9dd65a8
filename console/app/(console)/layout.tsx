import { headers } from 'next/headers';
import { redirect } from 'next/navigation';
import { ConsoleProviders } from '../../src/features/shell/providers.tsx';
import { Shell } from '../../src/features/shell/shell.tsx';
import { currentSession } from '../../src/server/runtime.ts';

export default async function ConsoleLayout({ children }: { readonly children: React.ReactNode }) {
  const session = await currentSession();
  if (session === null) {
    const path = (await headers()).get('x-console-path') ?? '/';
    redirect(path === '/' ? '/sign-in' : `/sign-in?next=${encodeURIComponent(path)}`);
  }
  return (
    <ConsoleProviders>
      <Shell user={session.user}>{children}</Shell>
    </ConsoleProviders>
  );
}
