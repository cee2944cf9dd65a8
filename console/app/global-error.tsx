'use client';

import './globals.css';

/** The last resort: even the shell broke. */
export default function GlobalError({ reset }: { readonly reset: () => void }) {
  return (
    <html lang="en">
      <body>
        <title>OaaS console</title>
        <main className="grid min-h-dvh place-items-center p-6 text-center">
          <div>
            <h1 className="text-lg font-semibold">The console broke</h1>
            <p className="mt-1 text-ink-2">What runs in the clusters is not affected.</p>
            <button
              type="button"
              onClick={reset}
              className="mt-4 rounded-md border border-line-strong px-3 py-1.5 font-medium"
            >
              Try again
            </button>
          </div>
        </main>
      </body>
    </html>
  );
}
