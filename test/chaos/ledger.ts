import { createHash } from 'node:crypto';
import { toOaasError } from '@oaas/commons/errors';
import type { Random } from '@oaas/commons/time';
import { callMs, type NodeClients } from './clients.ts';
import { pause, progressMs, type Workload } from './workload.ts';

export interface LedgerOptions {
  readonly clients: NodeClients;
  readonly random: Random;
  readonly collection: string;
  readonly partitions: number;
  /** Default 4. */
  readonly writers?: number;
  /** Mean time between two writes of a writer. Default 10 ms. */
  readonly thinkMs?: number;
  /** Bytes of the largest value; they are spread evenly. Default 8 KiB. */
  readonly bytesMax?: number;
}

const readsAtOnce = 32;

/** Objects that are written once and never again: each acknowledged one must be there, whole. For every durable type. */
export class Ledger implements Workload {
  readonly #options: Required<LedgerOptions>;
  /** Object and length of its value. */
  readonly #acknowledged = new Map<string, number>();
  #loops: Promise<void>[] = [];
  #isStopped = false;
  #objects = 0;

  constructor(options: LedgerOptions) {
    this.#options = { writers: 4, thinkMs: 10, bytesMax: 8192, ...options };
  }

  get name(): string {
    return this.#options.collection;
  }

  get done(): number {
    return this.#acknowledged.size;
  }

  start(): void {
    this.#isStopped = false;
    this.#loops = Array.from({ length: this.#options.writers }, () => this.#loop());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
  }

  async demandProgress(): Promise<void> {
    const { partitions } = this.#options;
    const end = performance.now() + progressMs;
    for (let left = partitions; left > 0;) {
      if (await this.#write()) left -= 1;
      else await pause(50);
      if (performance.now() > end) throw new Error(`no progress of ${this.name} within ${String(progressMs)} ms`);
    }
  }

  async check(): Promise<readonly string[]> {
    const left = [...this.#acknowledged];
    const lost: string[] = [];
    const read = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const [objectId, length] = next;
        if (!(await this.#holds(objectId, length))) lost.push(objectId);
      }
    };
    await Promise.all(Array.from({ length: readsAtOnce }, read));
    if (lost.length === 0) return [];
    const some = lost.sort().slice(0, 10).join(', ');
    throw new Error(
      `${this.name}: ${String(lost.length)} of ${String(this.done)} acknowledged writes are lost: ${some}`,
    );
  }

  async #loop(): Promise<void> {
    const { random, thinkMs } = this.#options;
    while (!this.#isStopped) {
      await pause(-Math.log(1 - random.next()) * thinkMs);
      if (!(await this.#write())) await pause(100);
    }
  }

  /** A new object; true when it was acknowledged. */
  async #write(): Promise<boolean> {
    const { clients, random, bytesMax } = this.#options;
    const objectId = `o${String((this.#objects += 1))}`;
    const length = 1 + Math.floor(random.next() * bytesMax);
    const values = { v: { data: contentOf(objectId, length) } };
    try {
      await clients.any(random).batchSetValues({ ...this.#at(objectId), values }, { deadlineMs: callMs });
    } catch {
      return false;
    }
    this.#acknowledged.set(objectId, length);
    return true;
  }

  async #holds(objectId: string, length: number): Promise<boolean> {
    const { clients, random } = this.#options;
    const end = performance.now() + progressMs;
    for (;;) {
      try {
        const at = { ...this.#at(objectId), key: 'v' };
        const { value } = await clients.any(random).getValue(at, { deadlineMs: callMs });
        return value?.data.equals(contentOf(objectId, length)) === true;
      } catch (thrown) {
        if (performance.now() > end)
          throw new Error(`${objectId} cannot be read: ${toOaasError(thrown).message}`, { cause: thrown });
        await pause(50);
      }
    }
  }

  #at(objectId: string): { clsId: string; partitionId: number; objectId: string } {
    const { collection, partitions } = this.#options;
    return { clsId: collection, partitionId: Number(objectId.slice(1)) % partitions, objectId };
  }
}

/** Bytes that follow from the object's name and are not alike. */
function contentOf(objectId: string, length: number): Buffer {
  const word = createHash('sha256').update(objectId).digest();
  return Buffer.alloc(length, word);
}
