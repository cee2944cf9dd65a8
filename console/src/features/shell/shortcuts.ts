import { allPlaces } from './nav.ts';

export type Shortcut =
  | { readonly type: 'go'; readonly href: string }
  | { readonly type: 'search' }
  | { readonly type: 'help' }
  | { readonly type: 'theme' }
  | { readonly type: 'pending' };

/** What a key means after the key before it (`g` waits for a second one). Null: nothing. */
export function shortcutOf(key: string, before: string | null): Shortcut | null {
  if (before === 'g') {
    const place = allPlaces.find((candidate) => candidate.shortcut === key);
    return place === undefined ? null : { type: 'go', href: place.href };
  }
  switch (key) {
    case 'g':
      return { type: 'pending' };
    case '/':
      return { type: 'search' };
    case '?':
      return { type: 'help' };
    case 't':
      return { type: 'theme' };
    default:
      return null;
  }
}
