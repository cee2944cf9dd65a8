import { oaasError } from '@oaas/commons/errors';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';

/** Connects to host:port. Rejects when that fails or `signal` aborts; the socket is closed then. */
export type Dial = (address: string, signal: AbortSignal) => Promise<Duplex>;

/** Plain TCP. */
export const dialTcp: Dial = (address, signal) => {
  const { host, port } = parseAddress(address);
  return connected(connectTcp({ host, port, noDelay: true }), 'connect', signal);
};

/** TLS. `options` are those of `tls.connect`; the host's name is checked unless they say otherwise. */
export function dialTls(options: ConnectionOptions): Dial {
  return (address, signal) => {
    const { host, port } = parseAddress(address);
    return connected(connectTls({ ...options, host, port }), 'secureConnect', signal);
  };
}

function connected(socket: Socket, event: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      settle();
      socket.destroy();
      reject(oaasError('Cancelled', 'the connection took too long', { cause: signal.reason }));
    };
    const onError = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onConnected = (): void => {
      settle();
      resolve(socket);
    };
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError).off(event, onConnected);
      // An error between here and the new owner's listener shows again as a close.
      socket.on('error', () => undefined);
    };
    socket.on('error', onError).on(event, onConnected);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:]+)):(?<port>\d+)$/.exec(address);
  const host = match?.groups?.['v6'] ?? match?.groups?.['name'];
  if (host === undefined) {
    throw oaasError('InvalidArgument', `"${address}" is not host:port`);
  }
  return { host, port: Number(match?.groups?.['port']) };
}
