/**
 * HTTP/2 (RFC 9113) and HPACK (RFC 7541) as a state machine for either side: bytes in, events and bytes out. Pure: no
 * socket, no clock, no timer.
 */
export { defaultBounds, type Http2Bounds, type RateBound } from './bounds.ts';
export { type Http2Code, http2CodeName, http2Codes, Http2Error } from './codes.ts';
export { Http2Connection, type Http2ConnectionOptions } from './connection.ts';
export type { Http2Events, ResetBy } from './events.ts';
export { FieldBlock } from './field-block.ts';
export { clientPreface } from './frames.ts';
export { HpackDecoder, type HpackDecoderOptions } from './hpack-decoder.ts';
export { HpackEncoder, type HpackEncoderOptions, type Indexing } from './hpack-encoder.ts';
export { ChunkPool, type ChunkPoolOptions } from './output.ts';
export { payloadCopyMax } from './sender.ts';
export type { Stream } from './stream.ts';
