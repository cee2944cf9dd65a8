/** Error codes of RFC 9113 §7. */
export const http2Codes = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

export type Http2Code = (typeof http2Codes)[keyof typeof http2Codes];

/** The name of a code, for logs and messages; an unknown number is shown as such. */
export function http2CodeName(code: number): string {
  for (const [name, value] of Object.entries(http2Codes)) if (value === code) return name;
  return `code ${code}`;
}

/**
 * A connection error of RFC 9113 §5.4.1: GOAWAY with this code goes out, and the connection takes no more bytes.
 * Thrown only inside this folder; the owner of a connection meets it as an argument of `closed`.
 */
export class Http2Error extends Error {
  readonly code: Http2Code;

  constructor(code: Http2Code, message: string) {
    super(message);
    this.name = 'Http2Error';
    this.code = code;
  }
}
