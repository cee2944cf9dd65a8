'use client';

import { Failed } from '../../src/ui/states.tsx';

/** A page that broke; the shell around it still stands. */
export default function ErrorPage({ error, reset }: { readonly error: Error; readonly reset: () => void }) {
  return (
    <div className="grid flex-1 place-items-center">
      <Failed
        failure={{
          title: 'This page broke',
          detail: error.message,
          remedy: 'Trying again often helps; if not, reload the page.',
        }}
        onRetry={reset}
      />
    </div>
  );
}
