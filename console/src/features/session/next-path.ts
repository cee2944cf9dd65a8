/** Where to go after the sign-in: only a path of this console, never another site. */
export function safeNextPath(next: string | null | undefined): string {
  if (next === null || next === undefined || !next.startsWith('/')) return '/';
  try {
    const url = new URL(next, 'http://console.invalid');
    return url.host === 'console.invalid' && !url.pathname.startsWith('//') ? `${url.pathname}${url.search}` : '/';
  } catch {
    return '/';
  }
}
