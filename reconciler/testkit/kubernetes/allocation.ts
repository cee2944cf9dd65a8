import type { Random } from '@oaas/commons/time';
import { ApiError } from './status.ts';

/** The addresses of Services: 10.96.0.0/16, of which .0.0 and .0.1 are kept. Text only, nothing listens there. */
const IP_PREFIX = '10.96';
const IP_COUNT = 65_536;
const RESERVED_IPS = 2;

/** Hands out numbers of a range at random, so that a freed one is not reused at once. */
class RangeAllocator {
  readonly #taken = new Set<number>();
  readonly #first: number;
  readonly #count: number;
  readonly #random: Random;

  constructor(first: number, count: number, random: Random) {
    this.#first = first;
    this.#count = count;
    this.#random = random;
  }

  take(value: number): void {
    this.#taken.add(value);
  }

  free(value: number): void {
    this.#taken.delete(value);
  }

  has(value: number): boolean {
    return this.#taken.has(value);
  }

  next(what: string): number {
    const start = Math.floor(this.#random.next() * this.#count);
    for (let step = 0; step < this.#count; step += 1) {
      const value = this.#first + ((start + step) % this.#count);
      if (this.#taken.has(value)) continue;
      this.#taken.add(value);
      return value;
    }
    throw new ApiError(500, 'InternalError', `Internal error occurred: failed to allocate ${what}: range is full`);
  }
}

/** What Services hold of the cluster's addresses and node ports. */
export class ServiceAllocation {
  readonly #ips: RangeAllocator;
  readonly #ports: RangeAllocator;

  /** @param nodePorts first and last node port. */
  constructor(nodePorts: readonly [number, number], random: Random) {
    this.#ips = new RangeAllocator(RESERVED_IPS, IP_COUNT - RESERVED_IPS, random);
    this.#ports = new RangeAllocator(nodePorts[0], nodePorts[1] - nodePorts[0] + 1, random);
  }

  nextIp(): string {
    const value = this.#ips.next('a service IP');
    return `${IP_PREFIX}.${String(value >> 8)}.${String(value & 255)}`;
  }

  nextPort(): number {
    return this.#ports.next('a nodePort');
  }

  hasIp(address: string): boolean {
    return this.#ips.has(toNumber(address));
  }

  hasPort(port: number): boolean {
    return this.#ports.has(port);
  }

  take(address: string | undefined, ports: readonly number[]): void {
    if (address !== undefined) this.#ips.take(toNumber(address));
    for (const port of ports) this.#ports.take(port);
  }

  free(address: string | undefined, ports: readonly number[]): void {
    if (address !== undefined) this.#ips.free(toNumber(address));
    for (const port of ports) this.#ports.free(port);
  }
}

function toNumber(address: string): number {
  const parts = address.split('.').map(Number);
  return (parts[2] ?? 0) * 256 + (parts[3] ?? 0);
}
