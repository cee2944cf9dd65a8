import { deepCopy, isJson, type Json } from '../types.ts';

/** Applies a JSON merge patch (RFC 7386) and returns the new document. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isJson(patch)) return deepCopy(patch);
  const out: Json = isJson(document) ? { ...document } : {};
  for (const key of Object.keys(patch)) {
    if (patch[key] === null) Reflect.deleteProperty(out, key);
    else out[key] = applyMergePatch(out[key], patch[key]);
  }
  return out;
}
