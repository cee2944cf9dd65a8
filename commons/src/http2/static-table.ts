/** RFC 7541 Appendix A: name and value of entry i at 2 * (i - 1). */
export const staticTable: readonly string[] = [
  ...[':authority', '', ':method', 'GET', ':method', 'POST', ':path', '/', ':path', '/index.html', ':scheme', 'http'],
  ...[':scheme', 'https', ':status', '200', ':status', '204', ':status', '206', ':status', '304', ':status', '400'],
  ...[':status', '404', ':status', '500', 'accept-charset', '', 'accept-encoding', 'gzip, deflate'],
  ...['accept-language', '', 'accept-ranges', '', 'accept', '', 'access-control-allow-origin', '', 'age', ''],
  ...['allow', '', 'authorization', '', 'cache-control', '', 'content-disposition', '', 'content-encoding', ''],
  ...['content-language', '', 'content-length', '', 'content-location', '', 'content-range', '', 'content-type', ''],
  ...['cookie', '', 'date', '', 'etag', '', 'expect', '', 'expires', '', 'from', '', 'host', '', 'if-match', ''],
  ...['if-modified-since', '', 'if-none-match', '', 'if-range', '', 'if-unmodified-since', '', 'last-modified', ''],
  ...['link', '', 'location', '', 'max-forwards', '', 'proxy-authenticate', '', 'proxy-authorization', ''],
  ...['range', '', 'referer', '', 'refresh', '', 'retry-after', '', 'server', '', 'set-cookie', ''],
  ...['strict-transport-security', '', 'transfer-encoding', '', 'user-agent', '', 'vary', '', 'via', ''],
  ...['www-authenticate', ''],
];

export const staticCount = staticTable.length / 2;

const byField = new Map<string, number>();
const byName = new Map<string, number>();
for (let index = staticCount; index >= 1; index -= 1) {
  const name = staticTable[2 * (index - 1)] as string;
  byName.set(name, index);
  byField.set(`${name}\0${staticTable[2 * index - 1] as string}`, index);
}

/** Index of the entry with this name and value, or 0. */
export function staticIndexOfField(key: string): number {
  return byField.get(key) ?? 0;
}

/** Lowest index of an entry with this name, or 0. */
export function staticIndexOfName(name: string): number {
  return byName.get(name) ?? 0;
}
