/** What the browser may ask of PM through the console, and nothing else. `:x` stands for one path segment. */
const allowed: readonly (readonly [method: string, pattern: string])[] = [
  ['GET', '/api/v1/whoami'],
  ['GET', '/api/v1/overview'],
  ['GET', '/api/v1/sources'],
  ['GET', '/api/v1/sources/:x'],
  ['PUT', '/api/v1/sources/:x'],
  ['DELETE', '/api/v1/sources/:x'],
  ['GET', '/api/v1/sources/:x/history'],
  ['POST', '/api/v1/sources/:x/sync'],
  ['POST', '/api/v1/sources/:x/suspend'],
  ['POST', '/api/v1/sources/:x/resume'],
  ['POST', '/api/v1/sources/:x/rollback'],
  ['POST', '/api/v1/plans'],
  ['GET', '/api/v1/plans/:x'],
  ['GET', '/api/v1/packages'],
  ['GET', '/api/v1/packages/:x'],
  ['GET', '/api/v1/deployment-records'],
  ['GET', '/api/v1/deployment-records/:x'],
  ['POST', '/api/v1/deployment-records/:x/confirm'],
  ['GET', '/api/v1/clusters'],
  ['GET', '/api/v1/grid/:x/:x'],
  ['GET', '/api/v1/audit'],
];

const patterns = allowed.map(([method, pattern]) => ({
  method,
  expression: new RegExp(`^${pattern.replaceAll(':x', '([^/]+)')}$`),
}));

/** `path` as it came over the wire, still percent-encoded. */
export function isAllowed(method: string, path: string): boolean {
  return patterns.some((entry) => {
    if (entry.method !== method) return false;
    const match = entry.expression.exec(path);
    return match?.slice(1).every(isPlainSegment) === true;
  });
}

/** Not one that a server behind us could read as another path. */
function isPlainSegment(segment: string): boolean {
  try {
    const text = decodeURIComponent(segment);
    return text !== '.' && text !== '..' && !/[/\\\0]/.test(text);
  } catch {
    return false;
  }
}
