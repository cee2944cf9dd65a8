import { oaasError } from '@oaas/commons/errors';
import { hexOf, writeHex } from './page.ts';
import type { PageHash } from './types.ts';

/** Asks for pages by content address. */
export interface PageRequest {
  /** 1 to {@link maxHashesPerRequest}, the most urgent first. */
  readonly hashes: readonly PageHash[];
  /** 1: these pages; 2: and their children; and so on, breadth first, as far as `maxPages` and `maxBytes` allow. */
  readonly levels: number;
  readonly maxPages: number;
  /** Bytes of pages. One page comes in any case. */
  readonly maxBytes: number;
}

export interface PageResponse {
  /** As many as fit, in the order asked for. */
  readonly pages: readonly Uint8Array[];
  /** Pages asked for that the responder does not have (any more). */
  readonly missing: readonly PageHash[];
}

export const maxHashesPerRequest = 1024;
export const maxPagesPerResponse = 4096;

const types = { request: 1, response: 2 } as const;

/** Type (u8), levels (u8), most pages (u16), most bytes (u32), number of hashes (u16), digest length (u8), digests. */
export function encodePageRequest(request: PageRequest): Uint8Array {
  const digestLength = (request.hashes[0]?.length ?? 0) / 2;
  const bytes = new Uint8Array(11 + request.hashes.length * digestLength);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, types.request);
  view.setUint8(1, request.levels);
  view.setUint16(2, request.maxPages);
  view.setUint32(4, request.maxBytes);
  writeHashes(view, bytes, 8, request.hashes);
  return bytes;
}

/** `InvalidArgument` when the bytes are no request. */
export function decodePageRequest(bytes: Uint8Array): PageRequest {
  if (bytes.length < 11 || bytes[0] !== types.request) throw malformed('a request for pages');
  const view = viewOf(bytes);
  const { hashes, end } = readHashes(view, bytes, 8);
  if (hashes.length === 0 || end !== bytes.length) throw malformed('a request for pages');
  return { hashes, levels: view.getUint8(1), maxPages: view.getUint16(2), maxBytes: view.getUint32(4) };
}

/** Type (u8), the missing (as in a request, from its number of hashes on), then length (u32) and bytes of each page. */
export function encodePageResponse(response: PageResponse): Uint8Array {
  const digestLength = (response.missing[0]?.length ?? 0) / 2;
  const size = response.pages.reduce((sum, page) => sum + 4 + page.length, 4 + response.missing.length * digestLength);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, types.response);
  let at = writeHashes(view, bytes, 1, response.missing);
  for (const page of response.pages) {
    view.setUint32(at, page.length);
    bytes.set(page, at + 4);
    at += 4 + page.length;
  }
  return bytes;
}

/** Pages are views of `bytes`. `InvalidArgument` when the bytes are no response. */
export function decodePageResponse(bytes: Uint8Array): PageResponse {
  if (bytes.length < 4 || bytes[0] !== types.response) throw malformed('an answer with pages');
  const view = viewOf(bytes);
  const { hashes: missing, end } = readHashes(view, bytes, 1);
  const pages: Uint8Array[] = [];
  for (let at = end; at < bytes.length;) {
    const length = at + 4 <= bytes.length ? view.getUint32(at) : Infinity;
    if (at + 4 + length > bytes.length || pages.length === maxPagesPerResponse) throw malformed('an answer with pages');
    pages.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { pages, missing };
}

function writeHashes(view: DataView, bytes: Uint8Array, at: number, hashes: readonly PageHash[]): number {
  view.setUint16(at, hashes.length);
  view.setUint8(at + 2, (hashes[0]?.length ?? 0) / 2);
  let end = at + 3;
  for (const hash of hashes) end = writeHex(bytes, end, hash);
  return end;
}

function readHashes(view: DataView, bytes: Uint8Array, at: number): { hashes: PageHash[]; end: number } {
  const count = view.getUint16(at);
  const length = view.getUint8(at + 2);
  const end = at + 3 + count * length;
  const isBounded = count <= maxHashesPerRequest && (count === 0 || (length >= 16 && length <= 64));
  if (!isBounded || end > bytes.length) throw malformed('a list of pages');
  const hashes: PageHash[] = [];
  for (let from = at + 3; from < end; from += length) hashes.push(hexOf(bytes.subarray(from, from + length)));
  return { hashes, end };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function malformed(what: string): Error {
  return oaasError('InvalidArgument', `a peer sent bytes that are not ${what}`, {
    remedy: 'Run the same version on all members.',
  });
}
