import { type OaasError, oaasError } from '../../errors/index.ts';
import type { OutgoingCall } from '../channel.ts';
import { type CallSetting, ClientCall } from './client-call.ts';
import { Drains, sendAll, type RequestEncoder } from './sending.ts';

/** A call with one response. */
abstract class SingleResponse extends ClientCall {
  private readonly resolve: (response: unknown) => void;
  private readonly reject: (error: OaasError) => void;
  private response: unknown = undefined;
  private count = 0;

  constructor(
    setting: CallSetting,
    outgoing: OutgoingCall,
    resolve: (response: unknown) => void,
    reject: (error: OaasError) => void,
  ) {
    super(setting, outgoing);
    this.resolve = resolve;
    this.reject = reject;
  }

  protected received(value: unknown): void {
    this.count += 1;
    this.response = value;
  }

  /** The one response is always waited for: it may be larger than the window of the stream. */
  protected advanced(bytes: number): void {
    this.connection?.consume(this.id, bytes);
  }

  protected ended(error: OaasError | undefined): void {
    this.drained();
    if (error !== undefined) this.reject(error);
    else if (this.count === 1) this.resolve(this.response);
    else this.reject(oaasError('Internal', `${this.setting.path} answered with ${this.count} messages instead of one`));
  }
}

/** A call with one request and one response. */
export class UnaryCall extends SingleResponse {
  private readonly request: Uint8Array;
  private readonly isCompressed: boolean;

  constructor(
    setting: CallSetting,
    outgoing: OutgoingCall,
    resolve: (response: unknown) => void,
    reject: (error: OaasError) => void,
    request: Uint8Array,
    isCompressed: boolean,
  ) {
    super(setting, outgoing, resolve, reject);
    this.request = request;
    this.isCompressed = isCompressed;
  }

  protected sendFirst(): void {
    this.connection?.sendMessage(this.id, this.request, this.isCompressed, true);
  }

  drained(): void {
    // The only request was handed over at once.
  }
}

/** A call with a stream of requests and one response. */
export class ClientStreamingCall extends SingleResponse {
  private readonly requests: AsyncIterable<unknown>;
  private readonly encoder: RequestEncoder;
  private readonly drains = new Drains();

  constructor(
    setting: CallSetting,
    outgoing: OutgoingCall,
    resolve: (response: unknown) => void,
    reject: (error: OaasError) => void,
    requests: AsyncIterable<unknown>,
    encoder: RequestEncoder,
  ) {
    super(setting, outgoing, resolve, reject);
    this.requests = requests;
    this.encoder = encoder;
  }

  protected sendFirst(): void {
    const { connection, id } = this;
    if (connection !== undefined) void sendAll(this, connection, id, this.requests, this.encoder, this.drains);
  }

  drained(): void {
    this.drains.release();
  }
}
