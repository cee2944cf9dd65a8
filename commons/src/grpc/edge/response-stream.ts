import { type OaasError, oaasError, toOaasError } from '../../errors/index.ts';
import type { OutgoingCall } from '../channel.ts';
import { type CallSetting, ClientCall } from './client-call.ts';
import { MessageQueue } from './message-queue.ts';
import { ReceiveCredit } from './receive-credit.ts';
import { Drains, type EncodedRequest, type RequestEncoder, sendAll } from './sending.ts';

/** What a streaming call sends: one request, or a stream of them. */
export type Requests =
  | { readonly kind: 'one'; readonly request: EncodedRequest }
  | { readonly kind: 'many'; readonly requests: AsyncIterable<unknown>; readonly encoder: RequestEncoder };

/** A call whose responses come as a stream. */
class StreamingCall extends ClientCall {
  readonly queue: MessageQueue;
  private readonly requests: Requests;
  private readonly drains = new Drains();
  private readonly credit = new ReceiveCredit((bytes) => this.connection?.consume(this.id, bytes));

  constructor(setting: CallSetting, outgoing: OutgoingCall, requests: Requests) {
    super(setting, outgoing);
    this.requests = requests;
    this.queue = new MessageQueue(
      (bytes) => {
        this.hold(-bytes);
        this.credit.read(bytes);
        this.advanced();
      },
      () => this.cancel(oaasError('Cancelled', `the caller of ${setting.path} left`)),
    );
  }

  protected sendFirst(): void {
    const { requests, connection, id } = this;
    if (connection === undefined) return;
    if (requests.kind === 'one') {
      connection.sendMessage(id, requests.request.payload, requests.request.isCompressed, true);
    } else void sendAll(this, connection, id, requests.requests, requests.encoder, this.drains);
  }

  protected received(value: unknown, bytes: number): void {
    this.credit.completed();
    this.hold(bytes);
    this.queue.push(value, bytes);
  }

  protected advanced(): void {
    this.credit.unfinished(this.reader?.held ?? 0, this.queue.isEmpty);
  }

  protected ended(error: OaasError | undefined): void {
    this.drains.release();
    if (error === undefined) this.queue.end();
    else this.queue.fail(error);
  }

  drained(): void {
    this.drains.release();
  }
}

/** The responses of a call, which begins when the first one is asked for. Leaving the loop cancels it. */
export class ResponseStream implements AsyncIterableIterator<unknown> {
  private call: StreamingCall | undefined = undefined;
  private isLeft = false;
  private readonly begin: () => StreamingCall;

  constructor(
    setting: CallSetting,
    outgoing: OutgoingCall,
    requests: () => Requests,
    start: (call: ClientCall) => void,
  ) {
    this.begin = () => {
      const call = new StreamingCall(setting, outgoing, requests());
      start(call);
      return call;
    };
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.call !== undefined) return this.call.queue.next();
    if (this.isLeft) return Promise.resolve({ done: true, value: undefined });
    try {
      this.call = this.begin();
    } catch (error) {
      this.isLeft = true;
      return Promise.reject(toOaasError(error));
    }
    return this.call.queue.next();
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.isLeft = true;
    return this.call?.queue.return() ?? Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
