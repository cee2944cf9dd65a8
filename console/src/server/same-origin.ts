/**
 * Whether a state-changing request comes from one of our own pages. Browsers say so in `Sec-Fetch-Site` (Fetch Metadata);
 * older ones send `Origin` (RFC 6454), which must name the host that was asked. A request that says neither is refused.
 */
export function isSameOrigin(headers: Headers): boolean {
  const site = headers.get('sec-fetch-site');
  if (site !== null) return site === 'same-origin';
  const origin = headers.get('origin');
  const host = headers.get('host');
  if (origin === null || host === null) return false;
  try {
    return new URL(origin).host === host;
  } catch {
    return false;
  }
}
