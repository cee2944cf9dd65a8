import { maxPagesPerResponse, type PageRequest, type PageResponse } from './messages.ts';
import type { Pages } from './pages.ts';
import type { PageHash } from './types.ts';

/** Bytes of pages in one answer, whatever was asked for. */
export const maxResponseBytes = 1024 * 1024;

/**
 * The responder's side of an exchange: gives the pages asked for. It keeps no state, so that any number of exchanges
 * can go on, stop and resume; only the pages of a root that it has announced must stay until they are over.
 */
export function answerPageRequest(pages: Pages, request: PageRequest): PageResponse {
  const maxPages = Math.min(request.maxPages, maxPagesPerResponse);
  const maxBytes = Math.min(request.maxBytes, maxResponseBytes);
  const found: Uint8Array[] = [];
  const missing: PageHash[] = [];
  let bytes = 0;
  let level: readonly PageHash[] = request.hashes;
  for (let depth = 0; depth < request.levels && level.length > 0; depth++) {
    const below: PageHash[] = [];
    for (const hash of level) {
      const page = pages.raw(hash);
      if (page === undefined) {
        if (depth === 0) missing.push(hash);
        continue;
      }
      const isOver = found.length >= maxPages || bytes + page.length > maxBytes;
      if (isOver && found.length > 0) return { pages: found, missing };
      found.push(page);
      bytes += page.length;
      if (depth + 1 < request.levels) below.push(...childHashes(pages, page));
    }
    level = below;
  }
  return { pages: found, missing };
}

function childHashes(pages: Pages, bytes: Uint8Array): PageHash[] {
  const children = pages.decode(bytes)?.children ?? [];
  return children.filter((child): child is PageHash => typeof child === 'string');
}
