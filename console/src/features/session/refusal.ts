const texts = {
  incomplete: 'Enter the user name and the password.',
  wrong: 'The user name or the password is wrong.',
  limited: 'Too many sign-ins have failed. Wait a minute, then try again.',
  foreign: 'The form does not come from a page of this console. Try again here.',
} as const;

/** Why a sign-in without scripts came back: the only part of the answer that stands in the page's address. */
export type Refusal = keyof typeof texts;

/** The text for a refusal; null for none and for whatever else somebody writes into the address. */
export function refusalText(refusal: unknown): string | null {
  return typeof refusal === 'string' && Object.hasOwn(texts, refusal) ? texts[refusal as Refusal] : null;
}

/** The sign-in page's address that shows a refusal and still leads to `next`. */
export function refusedPath(refusal: Refusal, next: string): string {
  const search = new URLSearchParams({ ...(next === '/' ? {} : { next }), refused: refusal });
  return `/sign-in?${search.toString()}`;
}
