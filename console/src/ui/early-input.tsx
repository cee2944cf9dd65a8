'use client';

import { useEffect } from 'react';

interface EarlyInput {
  readonly events: { readonly target: HTMLElement; readonly event: Event }[];
  readonly stop: () => void;
}

declare global {
  interface Window {
    earlyInput?: EarlyInput | undefined;
  }
}

/** Runs in the page before its own scripts do; its text is sent, so it may use nothing from outside of itself. */
function record(): void {
  const events: EarlyInput['events'][number][] = [];
  const keep = (event: Event) => {
    const control = event.type === 'click' ? 'button[type="button"]' : 'select';
    const target = event.target instanceof Element ? event.target.closest<HTMLElement>(control) : null;
    // Nobody does more than this before a page answers; pressing again what does not answer counts once.
    if (target === null || events.length >= 8 || events.some((each) => each.target === target)) return;
    events.push({ target, event });
  };
  window.addEventListener('click', keep, true);
  window.addEventListener('change', keep, true);
  window.earlyInput = {
    events,
    stop() {
      window.removeEventListener('click', keep, true);
      window.removeEventListener('change', keep, true);
    },
  };
}

/**
 * A page is there to be pressed before its scripts run. What is pressed or chosen in that time is remembered by this script, first
 * in the page, and done by {@link useEarlyInput} as soon as there is somebody to do it.
 */
export function EarlyInputScript({ nonce }: { readonly nonce: string }) {
  return (
    <script nonce={nonce} suppressHydrationWarning dangerouslySetInnerHTML={{ __html: `(${record.toString()})()` }} />
  );
}

/** Belongs into a component that is hydrated last: the frame of the page. */
export function useEarlyInput(): void {
  useEffect(() => {
    const early = window.earlyInput;
    if (early === undefined) return;
    window.earlyInput = undefined;
    early.stop();
    for (const { target, event } of early.events) {
      // React hydrates within an event that reaches it, and then handles that one itself.
      if (event.eventPhase !== Event.NONE || !target.isConnected) continue;
      if (event.type === 'change') {
        target.dispatchEvent(new Event('change', { bubbles: true }));
      } else {
        // Menus open when the pointer goes down.
        target.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true, cancelable: true, button: 0 }));
        target.click();
      }
    }
  }, []);
}
