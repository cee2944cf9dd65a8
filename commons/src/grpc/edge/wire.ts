/** The text forms of gRPC over HTTP/2 (grpc/grpc, doc/PROTOCOL-HTTP2.md). */

/** A flag byte and a 32-bit length go before each message. */
export const prefixBytes = 5;

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout`; undefined for what is none. Below a millisecond counts as its part. */
export function parseTimeout(text: string): number | undefined {
  if (!/^\d{1,8}[HMSmun]$/.test(text)) return undefined;
  return Number(text.slice(0, -1)) * (unitMs[text.slice(-1)] as number);
}

/** The `grpc-timeout` for a time in milliseconds, at least 1 ms, in 8 digits as the protocol wants. */
export function formatTimeout(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  if (whole < 1e8) return `${whole}m`;
  const seconds = Math.ceil(whole / 1000);
  return seconds < 1e8 ? `${seconds}S` : `${Math.min(99_999_999, Math.ceil(seconds / 3600))}H`;
}

/** `grpc-message`: UTF-8, everything but visible ASCII and space as %XX, and % itself. */
export function encodeMessage(message: string): string {
  if (/^[ -$&-~]*$/.test(message) && !/^ | $/.test(message)) return message;
  let text = '';
  for (const byte of new TextEncoder().encode(message)) {
    text +=
      byte > 0x20 && byte < 0x7f && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** What is no valid escape stays as it is, as the protocol demands. */
export function decodeMessage(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const hex = text[i] === '%' ? text.slice(i + 1, i + 3) : '';
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else bytes.push(text.charCodeAt(i));
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

/** Base64 without padding, as metadata under `-bin` keys travels. */
export function encodeBinary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64').replace(/=+$/, '');
}

/** With or without padding. */
export function decodeBinary(text: string): Buffer {
  return Buffer.from(text, 'base64');
}

/** The status that an HTTP response without `grpc-status` stands for (grpc/grpc, doc/http-grpc-status-mapping.md). */
export function statusOfHttp(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}
