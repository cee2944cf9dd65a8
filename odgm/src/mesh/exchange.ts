import { isOaasError, type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock, Timer, Timers } from '@oaas/commons/time';
import { InboundCall } from './call-context.ts';
import type { FrameLink } from './frame-link.ts';
import { frameKinds, noBytes, payloadLength, readU32 } from './frames.ts';
import type { Handlers } from './handlers.ts';
import { InboundStream } from './inbound-stream.ts';
import { OutboundStream } from './outbound-stream.ts';
import type { Channel, MeshIdentity, MeshPayload, MeshStream, RequestOptions, StreamOptions } from './port.ts';
import { decodeError, encodeError } from './wire-error.ts';

export interface ExchangeLimits {
  /** Requests that wait for an answer, in either direction; a further one is `ResourceExhausted`. Default 4,096. */
  readonly requestsMax: number;
  /** Bytes of requests that handlers work on; over it a request is `ResourceExhausted`. Default 64 MiB. */
  readonly requestBytesMax: number;
  /** Open streams in either direction; a further one is `ResourceExhausted`. Default 64. */
  readonly streamsMax: number;
}

export const defaultExchangeLimits: ExchangeLimits = {
  requestsMax: 4096,
  requestBytesMax: 64 * 1024 * 1024,
  streamsMax: 64,
};

export interface ExchangeOptions {
  readonly link: FrameLink;
  readonly peer: MeshIdentity;
  readonly handlers: Handlers;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly limits: ExchangeLimits;
}

interface Asked {
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: OaasError) => void;
  readonly deadline: number;
  /** Takes the abort listener away. */
  readonly forget: (() => void) | undefined;
}

const defaultTimeoutMs = 5000;
/** Deadlines are looked at no more often than this. */
const sweepEveryMs = 20;

/**
 * Requests and streams over one link, in both directions. Knows no socket: frames come by {@link receive} and go to a
 * {@link FrameLink}, so that real and simulated links share it.
 */
export class Exchange {
  private readonly options: ExchangeOptions;
  private readonly asked = new Map<number, Asked>();
  private readonly outbound = new Map<number, OutboundStream>();
  private readonly inbound = new Map<number, InboundCall>();
  private readonly inboundStreams = new Map<number, InboundStream>();
  private inboundBytes = 0;
  private lastId = 0;
  private sweepTimer: Timer | undefined = undefined;
  private sweepAt = Number.POSITIVE_INFINITY;
  private closed: OaasError | undefined = undefined;

  constructor(options: ExchangeOptions) {
    this.options = options;
  }

  request(channel: Channel, payload: MeshPayload, options: RequestOptions = {}): Promise<Uint8Array> {
    const { signal } = options;
    if (this.closed !== undefined) return Promise.reject(this.closed);
    if (signal?.aborted === true) return Promise.reject(cancelled(signal.reason));
    if (this.asked.size >= this.options.limits.requestsMax) {
      return Promise.reject(exhausted('too many requests to this peer wait for an answer'));
    }
    const id = this.nextId();
    if (!this.options.link.offer(frameKinds.request, channel, id, payload)) {
      return Promise.reject(exhausted('too many bytes wait to be sent to this peer'));
    }
    return new Promise((resolve, reject) => {
      const deadline = this.options.clock.monotonic() + (options.timeoutMs ?? defaultTimeoutMs);
      let forget: (() => void) | undefined;
      if (signal !== undefined) {
        const onAbort = (): void => {
          this.giveUp(id, cancelled(signal.reason));
        };
        signal.addEventListener('abort', onAbort, { once: true });
        forget = () => {
          signal.removeEventListener('abort', onAbort);
        };
      }
      this.asked.set(id, { resolve, reject, deadline, forget });
      if (deadline < this.sweepAt) this.sweepBy(deadline);
    });
  }

  stream(channel: Channel, header: Uint8Array, options: StreamOptions = {}): MeshStream {
    const id = this.nextId();
    const { link, limits } = this.options;
    const stream = new OutboundStream(link, id, options, () => this.outbound.delete(id));
    if (this.closed !== undefined) stream.fail(this.closed);
    else if (this.outbound.size >= limits.streamsMax) stream.fail(exhausted('too many streams to this peer are open'));
    else if (!link.offer(frameKinds.streamOpen, channel, id, header)) {
      stream.fail(exhausted('too many bytes wait to be sent to this peer'));
    } else {
      this.outbound.set(id, stream);
      stream.opened();
    }
    return stream;
  }

  /** Takes a frame about requests and streams. Returns what is wrong with it: the link is to be closed then. */
  receive(kind: number, channel: Channel, id: number, payload: Uint8Array): string | undefined {
    switch (kind) {
      case frameKinds.request:
        return this.onRequest(channel, id, payload);
      case frameKinds.response:
        this.onAnswer(id, payload, undefined);
        return undefined;
      case frameKinds.error:
        this.onAnswer(id, noBytes, decodeError(payload));
        return undefined;
      case frameKinds.cancel:
        this.inbound.get(id)?.abort();
        this.inboundStreams.get(id)?.cancel();
        return undefined;
      case frameKinds.streamOpen:
        return this.onStreamOpen(channel, id, payload);
      case frameKinds.streamData:
        return this.inboundStreams.get(id)?.push(payload);
      case frameKinds.streamEnd:
        this.inboundStreams.get(id)?.end();
        return undefined;
      case frameKinds.streamCredit:
        if (payload.length !== 4) return 'a credit has 4 bytes';
        this.outbound.get(id)?.credit(readU32(payload, 0));
        return undefined;
      default:
        return `frames of kind ${kind} are not known`;
    }
  }

  /** The link's queue has room again. */
  drained(): void {
    for (const stream of this.outbound.values()) stream.wake();
  }

  /** Ends everything: callers get `why`, handlers see their signal abort. Idempotent. */
  close(why: OaasError): void {
    if (this.closed !== undefined) return;
    this.closed = why;
    this.sweepTimer?.cancel();
    const asked = [...this.asked.values()];
    this.asked.clear();
    for (const { reject, forget } of asked) {
      forget?.();
      reject(why);
    }
    for (const stream of [...this.outbound.values()]) stream.fail(why);
    for (const call of this.inbound.values()) call.abort(why);
    this.inbound.clear();
    for (const stream of [...this.inboundStreams.values()]) stream.cancel(why);
    this.inboundStreams.clear();
  }

  private nextId(): number {
    do {
      this.lastId = (this.lastId + 1) >>> 0;
    } while (this.asked.has(this.lastId) || this.outbound.has(this.lastId));
    return this.lastId;
  }

  private onAnswer(id: number, payload: Uint8Array, error: OaasError | undefined): void {
    const stream = this.outbound.get(id);
    if (stream !== undefined) {
      if (error === undefined) stream.finish(payload);
      else stream.fail(error);
      return;
    }
    const asked = this.take(id);
    if (error === undefined) asked?.resolve(payload);
    else asked?.reject(error);
  }

  private giveUp(id: number, why: OaasError): void {
    const asked = this.take(id);
    if (asked === undefined) return;
    this.options.link.force(frameKinds.cancel, 0, id, noBytes);
    asked.reject(why);
  }

  private take(id: number): Asked | undefined {
    const asked = this.asked.get(id);
    if (asked === undefined) return undefined;
    this.asked.delete(id);
    asked.forget?.();
    return asked;
  }

  private sweepBy(deadline: number): void {
    const { clock, timers } = this.options;
    this.sweepTimer?.cancel();
    this.sweepAt = deadline;
    const delay = Math.max(sweepEveryMs, deadline - clock.monotonic());
    this.sweepTimer = timers.after(delay, () => {
      this.sweep();
    });
  }

  private sweep(): void {
    const now = this.options.clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const [id, { deadline }] of this.asked) {
      if (deadline <= now) {
        this.giveUp(id, oaasError('DeadlineExceeded', 'the peer did not answer in time'));
      } else if (deadline < next) next = deadline;
    }
    this.sweepAt = Number.POSITIVE_INFINITY;
    this.sweepTimer = undefined;
    if (next !== Number.POSITIVE_INFINITY) this.sweepBy(next);
  }

  private onRequest(channel: Channel, id: number, payload: Uint8Array): string | undefined {
    const { handlers, limits, peer } = this.options;
    if (this.isTaken(id)) return `the call ${id} is open already`;
    const handler = handlers.requests.get(channel);
    if (handler === undefined) {
      this.answerError(id, oaasError('Unimplemented', `this member serves no requests of channel ${channel}`));
      return undefined;
    }
    if (this.inbound.size >= limits.requestsMax || this.inboundBytes + payload.length > limits.requestBytesMax) {
      this.answerError(id, exhausted('this member works on as many requests of its peer as it may'));
      return undefined;
    }
    const call = new InboundCall(peer, payload.length);
    try {
      const answer = handler(payload, call);
      if (answer instanceof Promise) this.awaitAnswer(id, call, answer);
      else this.answer(id, answer);
    } catch (error) {
      this.answerError(id, error);
    }
    return undefined;
  }

  private awaitAnswer(id: number, call: InboundCall, answer: Promise<MeshPayload>): void {
    this.inbound.set(id, call);
    this.inboundBytes += call.bytes;
    const done = (): boolean => {
      this.inboundBytes -= call.bytes;
      return this.inbound.get(id) === call && this.inbound.delete(id) && !call.isAborted;
    };
    answer.then(
      (payload) => {
        if (done()) this.answer(id, payload);
      },
      (error: unknown) => {
        if (done()) this.answerError(id, error);
      },
    );
  }

  private onStreamOpen(channel: Channel, id: number, header: Uint8Array): string | undefined {
    const { handlers, limits, peer, link } = this.options;
    if (this.isTaken(id)) return `the call ${id} is open already`;
    const handler = handlers.streams.get(channel);
    if (handler === undefined) {
      this.answerError(id, oaasError('Unimplemented', `this member serves no streams of channel ${channel}`));
      return undefined;
    }
    if (this.inboundStreams.size >= limits.streamsMax) {
      this.answerError(id, exhausted('this member reads as many streams of its peer as it may'));
      return undefined;
    }
    const stream = new InboundStream(link, id, peer);
    this.inboundStreams.set(id, stream);
    stream.run(handler, header).then(
      (payload) => {
        if (this.endStream(id, stream)) this.answer(id, payload);
      },
      (error: unknown) => {
        if (this.endStream(id, stream)) this.answerError(id, error);
      },
    );
    return undefined;
  }

  private endStream(id: number, stream: InboundStream): boolean {
    stream.stop();
    return this.inboundStreams.get(id) === stream && this.inboundStreams.delete(id) && !stream.isCancelled;
  }

  private isTaken(id: number): boolean {
    return this.inbound.has(id) || this.inboundStreams.has(id);
  }

  private answer(id: number, payload: MeshPayload): void {
    try {
      if (this.options.link.offer(frameKinds.response, 0, id, payload)) return;
      this.answerError(id, exhausted(`there is no room for an answer of ${payloadLength(payload)} bytes`));
    } catch (error) {
      this.answerError(id, error);
    }
  }

  private answerError(id: number, error: unknown): void {
    this.options.link.force(frameKinds.error, 0, id, encodeError(error));
  }
}

function exhausted(message: string): OaasError {
  return oaasError('ResourceExhausted', message, { retryAfterMs: 100 });
}

function cancelled(reason: unknown): OaasError {
  return isOaasError(reason)
    ? toOaasError(reason)
    : oaasError('Cancelled', 'the request was given up', { cause: reason });
}
