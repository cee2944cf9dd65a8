import { oaasError, toOaasError } from '../../errors/index.ts';
import type { Codec } from './codec.ts';
import { MessageQueue } from './message-queue.ts';
import { MessageReader, type MessageSink } from './message-reader.ts';
import { ReceiveCredit } from './receive-credit.ts';
import { decodeRequest, type EdgeMethod } from './server-method.ts';
import { prefixBytes } from './wire.ts';

export interface RequestStreamOptions {
  readonly entry: EdgeMethod;
  readonly codec: Codec;
  readonly messageBytesMax: number;
  readonly gzip: boolean;
  /** The client may send so many bytes again. */
  readonly consume: (bytes: number) => void;
  /** So many bytes more, or less, are held for this call. */
  readonly held: (bytes: number) => void;
}

/** The requests of a streaming call, from the bytes of the connection to the loop of the handler. */
export class RequestStream implements MessageSink {
  readonly queue: MessageQueue;
  private readonly options: RequestStreamOptions;
  private readonly reader: MessageReader;
  private readonly credit: ReceiveCredit;

  constructor(options: RequestStreamOptions) {
    this.options = options;
    this.credit = new ReceiveCredit(options.consume);
    this.reader = new MessageReader(this, options.messageBytesMax, options.gzip);
    this.queue = new MessageQueue(
      (bytes) => {
        options.held(-bytes);
        this.credit.read(bytes);
        this.credit.unfinished(this.reader.held, this.queue.isEmpty);
      },
      () => undefined,
    );
  }

  /** Takes `bytes[start, end)` of the stream. Throws what is wrong with them. */
  feed(bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    const { reader } = this;
    const before = reader.held;
    try {
      reader.feed(bytes, start, end);
      if (endStream && reader.held > 0) throw oaasError('Internal', 'the last request is cut short');
    } catch (error) {
      throw toOaasError(error);
    }
    this.credit.unfinished(reader.held, this.queue.isEmpty);
    this.options.held(reader.held - before);
    if (endStream) this.queue.end();
  }

  message(bytes: Uint8Array, start: number, end: number): void {
    const { codec, entry, held } = this.options;
    const size = end - start + prefixBytes;
    const request = decodeRequest(codec, entry, bytes, start, end);
    held(size);
    this.credit.completed();
    this.queue.push(request, size);
  }
}
