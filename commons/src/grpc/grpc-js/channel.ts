import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { Client, connectivityState, credentials, type ChannelCredentials } from '@grpc/grpc-js';
import { oaasError } from '../../errors/index.ts';
import type { Clock } from '../../time/index.ts';
import { authorityOf, parseAddress } from '../address.ts';
import type { Channel, ChannelOptions, ChannelTls } from '../channel.ts';
import { flowWindowBytes, messageBytesMax } from '../limits.ts';
import { createCaller } from './caller.ts';

/** The clock of grpc-js, which takes no other. */
const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

/**
 * A channel of grpc-js, one connection to each address: for whatever is not the data path.
 *
 * @param address `host:port`, `http://host:port` or `https://host:port`, or several for the same service.
 */
export function createGrpcChannel(address: string | readonly string[], options: ChannelOptions = {}): Channel {
  const addresses = typeof address === 'string' ? [address] : address;
  const clients = addresses.map((one) => connect(one, options));
  const [first] = clients;
  if (first === undefined) throw oaasError('InvalidArgument', 'a channel needs an address');
  let turn = 0;

  /** The next client in turn, passing over those that fail at the moment. */
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
    clock,
    caller: (path, method) => createCaller(path, method, pick),
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
  const to = parseAddress(address);
  const { host } = to;
  const tls = options.tls ?? (to.isHttps ? {} : undefined);
  const bytesMax = options.maxMessageBytes ?? messageBytesMax;
  // RFC 6066 allows no address as a server name, and Node.js 26 refuses one: a name that nobody has goes in its place,
  // and the certificate is still held against the address.
  const ip = tls !== undefined && tls.serverName === undefined && isIP(host) !== 0 ? host : undefined;
  const sentName = tls?.serverName ?? (ip === undefined ? undefined : noName);
  return new Client(authorityOf(to), channelCredentials(tls, ip), {
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
