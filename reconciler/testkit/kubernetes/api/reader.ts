import type { Registry } from '../registry.ts';
import { keyOf, type ResourceType } from '../resource.ts';
import { everything, parseFieldSelector, parseLabelSelector, type Selector } from '../selectors.ts';
import { ApiError, errors } from '../status.ts';
import type { Entry, Store } from '../store/store.ts';
import { isJson } from '../types.ts';
import { served } from './convert.ts';
import type { Answer, ListAnswer, ListOptions } from './options.ts';
import type { Target } from './writer.ts';

/** Both selectors of a request as one. */
export function selectorOf(
  resource: ResourceType,
  options: { labelSelector?: string; fieldSelector?: string },
): Selector {
  const labels = parseLabelSelector(options.labelSelector);
  const known = resource.rules.fields === undefined ? [] : Object.keys(resource.rules.fields(blankObject(resource)));
  const fields = parseFieldSelector(options.fieldSelector, ['metadata.name', 'metadata.namespace', ...known]);
  if (labels === everything) return fields;
  if (fields === everything) return labels;
  return (object) => labels(object) && fields(object);
}

function blankObject(resource: ResourceType) {
  return { apiVersion: resource.version, kind: resource.kind, metadata: {} };
}

interface ContinueToken {
  readonly after: string;
  readonly revision: number;
}

/** Get and list. */
export class Reader {
  readonly #store: Store;
  readonly #registry: Registry;

  constructor(store: Store, registry: Registry) {
    this.#store = store;
    this.#registry = registry;
  }

  get registry(): Registry {
    return this.#registry;
  }

  get(target: Target): Answer {
    const entry = this.#store.get(keyOf(target.resource, target.namespace, target.name));
    if (entry === undefined) throw errors.notFound(target.resource, target.name);
    return { code: 200, bytes: served(target.resource, entry.bytes), warnings: [] };
  }

  list(resource: ResourceType, namespace: string | undefined, options: ListOptions): ListAnswer {
    const selector = selectorOf(resource, options);
    const token =
      options.continue === undefined || options.continue === '' ? undefined : this.#readToken(options.continue);
    if (token === undefined) this.#checkRevision(options);
    const revision = token?.revision ?? this.#store.revision;
    const limit = options.limit ?? 0;
    const all = this.#store.list(resource.storage, namespace);
    const items: Buffer[] = [];
    let last: Entry | undefined;
    let at = token === undefined ? 0 : firstAfter(all, token.after);
    for (; at < all.length; at += 1) {
      const entry = all[at];
      if (entry === undefined || !selector(entry)) continue;
      if (limit > 0 && items.length >= limit) break;
      items.push(served(resource, entry.bytes));
      last = entry;
    }
    const next = limit > 0 && at < all.length ? last : undefined;
    return {
      resourceVersion: String(revision),
      continue: next === undefined ? undefined : writeToken({ after: next.key, revision }),
      remaining: next !== undefined && selector === everything ? all.length - at : undefined,
      items,
    };
  }

  #readToken(text: string): ContinueToken {
    let token: unknown;
    try {
      token = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    } catch {
      token = undefined;
    }
    if (!isJson(token) || typeof token['after'] !== 'string' || typeof token['revision'] !== 'number') {
      throw errors.badRequest('continue key is not valid');
    }
    if (token['revision'] < this.#store.events.compacted) {
      throw errors.expired(
        'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
      );
    }
    return { after: token['after'], revision: token['revision'] };
  }

  #checkRevision(options: ListOptions): void {
    const { resourceVersion: wanted, resourceVersionMatch: match } = options;
    if (wanted === undefined || wanted === '' || wanted === '0') return;
    const revision = parseRevision(wanted);
    if (revision > this.#store.revision) throw tooLarge(revision, this.#store.revision);
    if (match === 'Exact' && revision !== this.#store.revision) {
      throw errors.expired(
        `The resourceVersion for the provided list is too old: ${wanted} (${String(this.#store.revision)})`,
      );
    }
  }
}

export function parseRevision(text: string): number {
  if (!/^\d+$/.test(text))
    throw errors.badRequest(`Invalid value: ${JSON.stringify(text)}: resourceVersion is not a number`);
  return Number(text);
}

function tooLarge(wanted: number, current: number): ApiError {
  return new ApiError(504, 'Timeout', `Too large resource version: ${String(wanted)}, current: ${String(current)}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

function firstAfter(entries: readonly Entry[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.key ?? '') <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function writeToken(token: ContinueToken): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}
