import type { Metadata } from 'next';
import { headers } from 'next/headers';
import { ThemeRoot } from '../src/features/shell/providers.tsx';
import './globals.css';

export const metadata: Metadata = {
  title: { default: 'OaaS console', template: '%s · OaaS console' },
  robots: { index: false, follow: false },
};

export default async function RootLayout({ children }: { readonly children: React.ReactNode }) {
  // The nonce differs per request, so every page is rendered at request time.
  const nonce = (await headers()).get('x-nonce') ?? '';
  return (
    <html lang="en" suppressHydrationWarning>
      <body>
        <ThemeRoot nonce={nonce}>{children}</ThemeRoot>
      </body>
    </html>
  );
}
