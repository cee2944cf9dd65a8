import type { FieldBlock } from './field-block.ts';

/** What a block is read as: the rules of RFC 9113 §8 differ. */
export type MessageKind = 'request' | 'response' | 'trailers';

const bitsOf: Readonly<Record<MessageKind, number>> = { request: 1, response: 4, trailers: 16 };

/**
 * Whether the block is well-formed as that kind (RFC 9113 §8.1.1, §8.2, §8.3). The answer is kept with the block, which
 * also learns its `contentLength`.
 */
export function isWellFormed(block: FieldBlock, kind: MessageKind): boolean {
  const bit = bitsOf[kind];
  if ((block.checked & bit) !== 0) return true;
  if ((block.checked & (bit << 1)) !== 0) return false;
  const valid = check(block, kind);
  block.checked |= valid ? bit : bit << 1;
  return valid;
}

/** The status of a response block that {@link isWellFormed}. */
export function statusOf(block: FieldBlock): number {
  return Number(block.get(':status'));
}

/** Fields that belong to one HTTP/1.1 connection (§8.2.2). */
const connectionSpecific = new Set(['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade']);
const requestPseudo = [':method', ':scheme', ':path', ':authority'];

function check(block: FieldBlock, kind: MessageKind): boolean {
  const { fields } = block;
  let regularSeen = false;
  let seen = 0;
  let method = '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (!isValue(value)) return false;
    if (name.charCodeAt(0) === 0x3a) {
      if (regularSeen || kind === 'trailers') return false;
      const pseudo = kind === 'request' ? requestPseudo.indexOf(name) : name === ':status' ? 0 : -1;
      if (pseudo < 0 || (seen & (1 << pseudo)) !== 0) return false;
      seen |= 1 << pseudo;
      if (name === ':method') method = value;
      if (name === ':path' && value === '') return false;
      if (name === ':status' && !/^[1-5]\d\d$/.test(value)) return false;
      continue;
    }
    regularSeen = true;
    if (!isName(name) || connectionSpecific.has(name)) return false;
    if (name === 'te' && value !== 'trailers') return false;
    if (name === 'content-length' && !readContentLength(block, value)) return false;
  }
  if (kind === 'trailers') return true;
  if (kind === 'response') return seen === 1;
  // CONNECT has an authority and neither scheme nor path (§8.5).
  return method === 'CONNECT' ? seen === 0b1001 : (seen & 0b0111) === 0b0111;
}

function readContentLength(block: FieldBlock, value: string): boolean {
  if (!/^\d{1,15}$/.test(value)) return false;
  const length = Number(value);
  if (block.contentLength >= 0 && block.contentLength !== length) return false;
  block.contentLength = length;
  return true;
}

/** Lower case, visible ASCII, no colon (§8.2.1). */
function isName(name: string): boolean {
  if (name === '') return false;
  for (let i = 0; i < name.length; i += 1) {
    const c = name.charCodeAt(i);
    if (c <= 0x20 || c >= 0x7f || (c >= 0x41 && c <= 0x5a) || c === 0x3a) return false;
  }
  return true;
}

/** No NUL, CR or LF, and no white space at either end (§8.2.1). */
function isValue(value: string): boolean {
  const { length } = value;
  if (length === 0) return true;
  for (let i = 0; i < length; i += 1) {
    const c = value.charCodeAt(i);
    if (c === 0 || c === 0x0a || c === 0x0d) return false;
  }
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(length - 1));
}

function isBlank(c: number): boolean {
  return c === 0x20 || c === 0x09;
}
