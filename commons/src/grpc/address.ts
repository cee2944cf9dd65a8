import { oaasError } from '../errors/index.ts';

/** Where a channel connects to. */
export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isHttps: boolean;
}

/** Reads `host:port`, `http://host:port` or `https://host:port`. Throws `InvalidArgument`. */
export function parseAddress(text: string): Address {
  const match = /^(?:(https?):\/\/)?(?:\[([^\]]+)\]|([^/\s:]+)):(\d+)\/?$/.exec(text);
  if (match === null) {
    throw oaasError('InvalidArgument', `"${text}" is not an address`, {
      remedy: 'Write host:port, http://host:port or https://host:port.',
    });
  }
  return { host: match[2] ?? match[3] ?? '', port: Number(match[4]), isHttps: match[1] === 'https' };
}

/** `host:port`, with brackets around an IPv6 address. */
export function authorityOf({ host, port }: Pick<Address, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
