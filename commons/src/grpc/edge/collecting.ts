import type { Codec } from './codec.ts';
import { MessageReader, type MessageSink } from './message-reader.ts';
import type { ServerSetting } from './responder.ts';
import { ServerCall } from './server-call.ts';
import { decodeRequest } from './server-method.ts';

/** A unary call whose request is not whole yet. */
export class Collecting implements MessageSink {
  readonly call: ServerCall;
  readonly reader: MessageReader;
  request: unknown = undefined;
  count = 0;
  private readonly codec: Codec;

  constructor(call: ServerCall, { codec, messageBytesMax: bytesMax }: ServerSetting) {
    this.call = call;
    this.codec = codec;
    this.reader = new MessageReader(this, bytesMax, call.head.encoding === 'gzip');
  }

  message(bytes: Uint8Array, start: number, end: number, isOwn: boolean): void {
    this.count += 1;
    if (this.count > 1) return;
    this.request = decodeRequest(this.codec, this.call.entry, bytes, start, end, isOwn);
  }
}

/** The call that a stream's context is or belongs to; undefined before there is one. */
export function callOf(context: unknown): ServerCall | undefined {
  if (context instanceof ServerCall) return context;
  return context instanceof Collecting ? context.call : undefined;
}
