import type { Clock } from '../time/index.ts';
import type { CallOptions, MethodDefinition } from './definition.ts';
import type { MetadataInput } from './metadata.ts';

export interface ChannelTls {
  /** Authorities that the server's certificate must come from. Default: those of the system. */
  readonly ca?: Buffer | undefined;
  /** Certificate and key to show to the server. */
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
  /** Name that the certificate must have, if it is not the host of the address. */
  readonly serverName?: string | undefined;
}

export interface ChannelOptions {
  /** Default 16 MiB. A larger message is RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes?: number | undefined;
  /** A silent connection with calls on it is asked for a sign of life after this time. Default 30,000 ms. */
  readonly keepaliveMs?: number | undefined;
  /** TLS also without an `https` address. */
  readonly tls?: ChannelTls | undefined;
  /** Longest pause between two attempts to connect. Default 5,000 ms. */
  readonly reconnectMaxMs?: number | undefined;
}

/** A call as the channel gets it: once for each attempt. */
export interface OutgoingCall extends Pick<CallOptions, 'signal' | 'onTrailer'> {
  /** Time for this attempt; undefined: none is set. Zero or less has passed already. */
  readonly timeoutMs: number | undefined;
  /** Asked when the call is sent; what it throws fails the call. Undefined: there is none. */
  metadata(): MetadataInput | undefined;
}

/** Carries the calls of one method. Of the four kinds, the one of the method. All fail with OaasErrors only. */
export interface MethodCaller {
  unary(request: unknown, call: OutgoingCall): Promise<unknown>;
  clientStreaming(requests: AsyncIterable<unknown>, call: OutgoingCall): Promise<unknown>;
  /** Sent when the first response is asked for; leaving the loop cancels it. */
  serverStreaming(request: unknown, call: OutgoingCall): AsyncIterable<unknown>;
  bidirectional(requests: AsyncIterable<unknown>, call: OutgoingCall): AsyncIterable<unknown>;
}

/** Connections to one service: opened by the first call, kept and renewed until closed. The same for every carrier. */
export interface Channel {
  readonly addresses: readonly string[];
  /** The clock that measures deadlines. */
  readonly clock: Clock;
  /** @param path `/package.Service/Method`. */
  caller(path: string, method: MethodDefinition): MethodCaller;
  /** Resolves when one connection is up; rejects with `Unavailable` after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void>;
  /** Calls under way are cut off with `Unavailable` or `Cancelled`. */
  close(): void;
}
