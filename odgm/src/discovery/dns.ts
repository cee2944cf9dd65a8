import { promises as dns } from 'node:dns';
import { oaasError } from '@oaas/commons/errors';

/** A node as the DNS knows it: an address without an id. */
export interface Found {
  readonly id: string;
  /** host:port. */
  readonly address: string;
}

/** The part of `node:dns` that is used. */
export interface Resolver {
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
}

/**
 * All addresses of a name, such as that of a headless Service, with the port of the nodes. A name that has none now is
 * an empty list. Rejects with `Unavailable` when the DNS does not answer.
 */
export async function nodesOfName(name: string, port: number, resolver: Resolver = dns): Promise<Found[]> {
  const [four, six] = await Promise.all([
    addresses(name, () => resolver.resolve4(name)),
    addresses(name, () => resolver.resolve6(name)),
  ]);
  return [...four.sort(), ...six.sort().map((address) => `[${address}]`)].map((host) => ({
    id: '',
    address: `${host}:${String(port)}`,
  }));
}

async function addresses(name: string, resolve: () => Promise<string[]>): Promise<string[]> {
  try {
    return await resolve();
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === 'ENODATA' || code === 'ENOTFOUND') return [];
    throw oaasError('Unavailable', `the DNS does not answer for ${name}`, { cause: thrown });
  }
}
