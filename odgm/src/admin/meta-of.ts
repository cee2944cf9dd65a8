import { oaasError } from '@oaas/commons/errors';
import type { MetaGroup } from '../meta/index.ts';
import type { GridNode } from '../node/index.ts';

/** The meta group, as this node sees it. Throws `Unavailable` before the node has joined. */
export function metaOf({ meta }: GridNode): MetaGroup {
  if (meta === undefined) throw oaasError('Unavailable', 'the node is starting', { retryAfterMs: 500 });
  return meta;
}
