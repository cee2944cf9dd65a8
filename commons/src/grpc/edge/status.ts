import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { fromGrpcStatus, type OaasError, toGrpcStatus } from '../../errors/index.ts';
import { FieldBlock } from '../../http2/index.ts';
import { decodeBinary, decodeMessage, encodeBinary, encodeMessage } from './wire.ts';

/** Trailing metadata that carries what a status cannot say: a JSON object of texts. */
const detailsKey = 'oaas-error-bin';
/** The same for clients of any platform: google.rpc.Status with ErrorInfo and RetryInfo. */
const richDetailsKey = 'grpc-status-details-bin';
const errorDomain = 'oaas.io';

/** Peers refuse header blocks of more than some 8 to 16 KiB, and with them the whole status. */
const messageLengthMax = 1024;
const detailsBytesMax = 2048;

/** Trailers of a call that succeeded and set none of its own. */
export const okTrailers = new FieldBlock(['grpc-status', '0'], { reused: true });

/** `fields` of the trailers of a failed call; `own` are those that the handler has set. */
export function errorTrailers(error: unknown, own: readonly string[]): string[] {
  const status = toGrpcStatus(error);
  const message = status.message.slice(0, messageLengthMax);
  const full = Buffer.from(JSON.stringify(status.details));
  const details =
    full.length <= detailsBytesMax
      ? full
      : Buffer.from(JSON.stringify({ code: status.details['code'], retryAfterMs: status.details['retryAfterMs'] }));
  return [
    ...['grpc-status', String(status.code), 'grpc-message', encodeMessage(message)],
    ...[
      detailsKey,
      encodeBinary(details),
      richDetailsKey,
      encodeBinary(richDetails(status.code, message, status.details)),
    ],
    ...own,
  ];
}

/** google.rpc.Status{code 1, message 2, details 3: Any{type_url 1, value 2}} (googleapis, google/rpc/status.proto). */
function richDetails(code: number, message: string, details: Readonly<Record<string, string>>): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32(8).int32(code).uint32(18).string(message);
  // google.rpc.ErrorInfo{reason 1, domain 2}: reasons are UPPER_SNAKE_CASE.
  const reason = (details['code'] ?? 'Unknown').replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toUpperCase();
  any(writer, 'google.rpc.ErrorInfo', new BinaryWriter().uint32(10).string(reason).uint32(18).string(errorDomain));
  const retryMs = Number(details['retryAfterMs']);
  if (Number.isFinite(retryMs)) {
    // google.rpc.RetryInfo{retry_delay 1: Duration{seconds 1, nanos 2}}
    const delay = new BinaryWriter().uint32(8).int64(Math.floor(retryMs / 1000));
    delay.uint32(16).int32(Math.round((retryMs % 1000) * 1e6));
    any(writer, 'google.rpc.RetryInfo', new BinaryWriter().uint32(10).bytes(delay.finish()));
  }
  return writer.finish();
}

function any(writer: BinaryWriter, type: string, message: BinaryWriter): void {
  writer.uint32(26).fork();
  writer.uint32(10).string(`type.googleapis.com/${type}`).uint32(18).bytes(message.finish());
  writer.join();
}

/** The error that trailers tell of; undefined for OK. Trailers without a status are an error of the peer. */
export function errorOfTrailers(trailers: FieldBlock): OaasError | undefined {
  const text = trailers.get('grpc-status');
  if (text === '0') return undefined;
  const code = text === undefined || !/^\d{1,3}$/.test(text) ? 2 : Number(text);
  const message = text === undefined ? 'the response ends without a status' : (trailers.get('grpc-message') ?? '');
  const encoded = trailers.get(detailsKey);
  return fromGrpcStatus(code, decodeMessage(message), encoded === undefined ? retryHint(trailers) : texts(encoded));
}

/** What another platform's rich details say about the time of the next try. */
function retryHint(trailers: FieldBlock): Record<string, string> {
  const encoded = trailers.get(richDetailsKey);
  if (encoded === undefined) return {};
  try {
    for (const value of fieldsOf(decodeBinary(encoded), 3)) {
      const type = new TextDecoder().decode(fieldsOf(value, 1)[0]);
      const body = fieldsOf(value, 2)[0];
      if (!type.endsWith('/google.rpc.RetryInfo') || body === undefined) continue;
      return { retryAfterMs: String(durationMs(fieldsOf(body, 1)[0] ?? new Uint8Array(0))) };
    }
  } catch {
    // Details only add to an error that is already reported; a peer that garbles them must not hide it.
  }
  return {};
}

/** The length-delimited values under one field number. */
function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted && type === WireType.LengthDelimited) found.push(reader.bytes());
    else reader.skip(type, field);
  }
  return found;
}

function durationMs(message: Uint8Array): number {
  const reader = new BinaryReader(message);
  let ms = 0;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) ms += Number(reader.int64()) * 1000;
    else if (field === 2) ms += reader.int32() / 1e6;
    else reader.skip(type, field);
  }
  return ms;
}

function texts(encoded: string): Record<string, string> {
  try {
    const value: unknown = JSON.parse(decodeBinary(encoded).toString());
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {};
  }
}
