'use client';

import { createContext, use, useEffect, useState } from 'react';

const NowContext = createContext(0);

/** The wall clock for everything that shows an age: one timer for the whole page, a tick each second. */
export function NowProvider({ children, fixed }: { readonly children: React.ReactNode; readonly fixed?: number }) {
  const [now, setNow] = useState(() => fixed ?? Date.now());
  useEffect(() => {
    if (fixed !== undefined) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [fixed]);
  return <NowContext value={now}>{children}</NowContext>;
}

/** Milliseconds since the Unix epoch, a second exact. */
export function useNow(): number {
  return use(NowContext);
}
