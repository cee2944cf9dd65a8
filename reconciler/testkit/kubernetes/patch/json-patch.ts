import { deepCopy, deepEqual, isJson } from '../types.ts';

/** A JSON patch that cannot be applied to this document. */
export class PatchError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PatchError';
  }
}

/** At most this many operations are taken in one patch, as the API server does. */
const MAX_OPERATIONS = 10_000;

/** Applies a JSON patch (RFC 6902) and returns the new document. Throws PatchError; the input is not changed. */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw new PatchError('a JSON patch is a list of operations');
  if (patch.length > MAX_OPERATIONS)
    throw new PatchError(`a JSON patch holds at most ${String(MAX_OPERATIONS)} operations`);
  let current = deepCopy(document);
  for (const operation of patch) current = applyOperation(current, operation);
  return current;
}

function applyOperation(document: unknown, operation: unknown): unknown {
  if (!isJson(operation)) throw new PatchError('an operation is an object');
  const path = pointer(operation['path']);
  switch (operation['op']) {
    case 'add':
      return add(document, path, deepCopy(operation['value']));
    case 'remove':
      return remove(document, path).document;
    case 'replace': {
      if (path.length === 0) return deepCopy(operation['value']);
      read(document, path);
      return set(document, path, deepCopy(operation['value']));
    }
    case 'move': {
      const from = pointer(operation['from']);
      const taken = remove(document, from);
      return add(taken.document, path, taken.value);
    }
    case 'copy':
      return add(document, path, deepCopy(read(document, pointer(operation['from']))));
    case 'test': {
      const found = find(document, path);
      if (!deepEqual(found ?? null, operation['value'] ?? null)) {
        throw new PatchError(`testing value ${String(operation['path'])} failed`);
      }
      return document;
    }
    default:
      throw new PatchError(`unexpected kind of operation: ${JSON.stringify(operation['op'])}`);
  }
}

function pointer(value: unknown): string[] {
  if (value === '') return [];
  if (typeof value !== 'string' || !value.startsWith('/')) throw new PatchError('a path begins with /');
  return value
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function find(document: unknown, path: readonly string[]): unknown {
  let current = document;
  for (const key of path) {
    if (Array.isArray(current)) current = current[index(key, current.length - 1)];
    else if (isJson(current)) current = Object.hasOwn(current, key) ? current[key] : undefined;
    else return undefined;
  }
  return current;
}

function read(document: unknown, path: readonly string[]): unknown {
  const found = find(document, path);
  if (found === undefined) throw new PatchError(`there is nothing at /${path.join('/')}`);
  return found;
}

function index(key: string, last: number): number {
  const at = /^(0|[1-9]\d*)$/.test(key) ? Number(key) : -1;
  if (at < 0 || at > last) throw new PatchError(`index ${key} is out of bounds`);
  return at;
}

function holder(document: unknown, path: readonly string[]): { parent: unknown; key: string } {
  const key = path.at(-1);
  if (key === undefined) throw new PatchError('the whole document cannot be removed');
  const parent = path.length === 1 ? document : find(document, path.slice(0, -1));
  if (typeof parent !== 'object' || parent === null)
    throw new PatchError(`there is nothing at /${path.slice(0, -1).join('/')}`);
  return { parent, key };
}

function add(document: unknown, path: readonly string[], value: unknown): unknown {
  if (path.length === 0) return value;
  const { parent, key } = holder(document, path);
  if (Array.isArray(parent)) parent.splice(key === '-' ? parent.length : index(key, parent.length), 0, value);
  else if (isJson(parent)) parent[key] = value;
  return document;
}

function set(document: unknown, path: readonly string[], value: unknown): unknown {
  const { parent, key } = holder(document, path);
  if (Array.isArray(parent)) parent[index(key, parent.length - 1)] = value;
  else if (isJson(parent)) parent[key] = value;
  return document;
}

function remove(document: unknown, path: readonly string[]): { document: unknown; value: unknown } {
  const value = read(document, path);
  const { parent, key } = holder(document, path);
  if (Array.isArray(parent)) parent.splice(index(key, parent.length - 1), 1);
  else if (isJson(parent)) Reflect.deleteProperty(parent, key);
  return { document, value };
}
