import type { Metadata } from 'next';
import { redirect } from 'next/navigation';
import { safeNextPath } from '../../src/features/session/next-path.ts';
import { SignInForm } from '../../src/features/session/sign-in-form.tsx';
import { Mark } from '../../src/features/shell/icons.tsx';
import { currentSession } from '../../src/server/runtime.ts';

export const metadata: Metadata = { title: 'Sign in' };

export default async function SignInPage({
  searchParams,
}: {
  readonly searchParams: Promise<{ readonly next?: string | string[]; readonly refused?: string | string[] }>;
}) {
  const { next, refused } = await searchParams;
  const path = safeNextPath(typeof next === 'string' ? next : null);
  if ((await currentSession()) !== null) redirect(path);
  return (
    <main className="grid min-h-dvh place-items-center bg-canvas p-4">
      <div className="w-full max-w-sm">
        <div className="mb-6 flex items-center gap-3">
          <Mark className="size-8 text-accent" />
          <div>
            <h1 className="text-lg font-semibold tracking-tight">Sign in to the OaaS console</h1>
            <p className="text-ink-2">The password is the one it was started with.</p>
          </div>
        </div>
        <div className="rounded-lg border bg-surface p-6 shadow-card">
          <SignInForm next={path} refused={typeof refused === 'string' ? refused : null} />
        </div>
      </div>
    </main>
  );
}
