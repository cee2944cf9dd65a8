import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { Client, connectivityState, credentials, type ChannelCredentials } from '@grpc/grpc-js';
import { oaasError } from '../errors/index.ts';
import { flowWindowBytes, messageBytesMax } from './limits.ts';

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

/** Connections to one service: one per address, opened by the first call, kept and renewed until closed. */
export interface Channel {
  readonly addresses: readonly string[];
  /** The connection for the next call: in turn, passing over those that fail at the moment. */
  pick(): Client;
  /** Resolves when one connection is up; rejects with `Unavailable` after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void>;
  close(): void;
}

/** @param address `host:port`, `http://host:port` or `https://host:port`, or several for the same service. */
export function createGrpcChannel(address: string | readonly string[], options: ChannelOptions = {}): Channel {
  const addresses = typeof address === 'string' ? [address] : address;
  const clients = addresses.map((one) => connect(one, options));
  const [first] = clients;
  if (first === undefined) throw oaasError('InvalidArgument', 'a channel needs an address');
  let turn = 0;

  const pick = (): Client => {
    const inTurn = [...clients.slice(turn), ...clients.slice(0, turn)];
    const client =
      inTurn.find((one) => one.getChannel().getConnectivityState(false) !== connectivityState.TRANSIENT_FAILURE) ??
      first;
    turn = (clients.indexOf(client) + 1) % clients.length;
    return client;
  };

  return {
    addresses,
    pick,
    ready: async (timeoutMs) => {
      try {
        await Promise.any(clients.map((client) => isReady(client, timeoutMs)));
      } catch (error) {
        throw oaasError('Unavailable', `no connection to ${addresses.join(', ')}`, { cause: error });
      }
    },
    close: () => {
      for (const client of clients) client.close();
    },
  };
}

function isReady(client: Client, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + timeoutMs, (error) => {
      if (error === undefined) resolve();
      else reject(error);
    });
  });
}

function connect(address: string, options: ChannelOptions): Client {
  const match = /^(?:(https?):\/\/)?([^/\s]+?)\/?$/.exec(address);
  const target = match?.[2];
  if (target === undefined || !/:\d+$/.test(target)) {
    throw oaasError('InvalidArgument', `"${address}" is not an address`, {
      remedy: 'Write host:port, http://host:port or https://host:port.',
    });
  }
  const tls = options.tls ?? (match?.[1] === 'https' ? {} : undefined);
  const bytesMax = options.maxMessageBytes ?? messageBytesMax;
  const host = target.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  // RFC 6066 allows no address as a server name, and Node.js 26 refuses one: a name that nobody has goes in its place,
  // and the certificate is still held against the address.
  const ip = tls !== undefined && tls.serverName === undefined && isIP(host) !== 0 ? host : undefined;
  const sentName = tls?.serverName ?? (ip === undefined ? undefined : noName);
  return new Client(target, channelCredentials(tls, ip), {
    'grpc.max_receive_message_length': bytesMax,
    'grpc.max_send_message_length': bytesMax,
    'grpc.keepalive_time_ms': options.keepaliveMs ?? 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.min_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': options.reconnectMaxMs ?? 5000,
    'grpc-node.flow_control_window': flowWindowBytes,
    'grpc.enable_channelz': 0,
    // A pool shared by the process would keep connections beyond close(), and make channels share one.
    'grpc.use_local_subchannel_pool': 1,
    ...(sentName === undefined ? {} : { 'grpc.ssl_target_name_override': sentName }),
  });
}

/** RFC 2606: never a real name. */
const noName = 'address.invalid';

function channelCredentials(tls: ChannelTls | undefined, ip: string | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const verify = ip === undefined ? {} : { checkServerIdentity: identityOf(ip) };
  return credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null, verify);
}

function identityOf(ip: string): typeof checkServerIdentity {
  return (_name, certificate) => checkServerIdentity(ip, certificate);
}
