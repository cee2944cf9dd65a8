import { isDeepStrictEqual } from 'node:util';
import type { DataClient } from '@oaas/commons/client';
import { isOaasError } from '@oaas/commons/errors';
import type { Random } from '@oaas/commons/time';
import { eventually } from '@oaas/commons/testkit';
import { callMs, type NodeClients } from './clients.ts';
import { pause, progressMs, type Workload } from './workload.ts';

export interface ContestOptions {
  readonly clients: NodeClients;
  readonly random: Random;
  /** A collection whose replicas merge. */
  readonly collection: string;
  readonly partitions: number;
  readonly replicas: number;
}

const objects = 6;
const keys = ['a', 'b', 'c'];
const writers = 2;
/** Mean time between two writes of a writer. */
const thinkMs = 60;

/**
 * Writes and deletes of a few objects by all replicas at once. Which of them lasts is promised only where nobody else
 * writes any more; but it is the same one on all replicas.
 */
export class Contest implements Workload {
  readonly name: string;
  done = 0;
  readonly #options: ContestOptions;
  #loops: Promise<void>[] = [];
  #isStopped = false;
  #values = 0;
  /** The value of each object's last write, after which nobody has written to it. */
  readonly #last = new Map<string, string>();

  constructor(options: ContestOptions) {
    this.#options = options;
    this.name = `contest of ${options.collection}`;
  }

  start(): void {
    this.#isStopped = false;
    this.#loops = Array.from({ length: writers }, () => this.#loop());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
  }

  async demandProgress(): Promise<void> {
    const { clients, random } = this.#options;
    const write = async (objectId: string): Promise<void> => {
      const value = this.#newValue();
      const at = { ...this.#at(objectId), key: keys[0] };
      await clients.any(random).setValue({ ...at, value: { data: Buffer.from(value) } }, { deadlineMs: callMs });
      this.#last.set(objectId, value);
    };
    await Promise.all(objectIds.map((id) => eventually(() => write(id), { timeoutMs: progressMs, intervalMs: 50 })));
  }

  async check(): Promise<readonly string[]> {
    const { clients, random } = this.#options;
    await Promise.all(
      objectIds.map(async (objectId) => {
        await this.#untilAlike(objectId, this.#last.get(objectId));
        // What all have, one deletes.
        const at = { ...this.#at(objectId), key: keys[0] };
        const deleted = () => clients.any(random).deleteValue(at, { deadlineMs: callMs });
        await eventually(deleted, { timeoutMs: progressMs, intervalMs: 50 });
        await this.#untilAlike(objectId, undefined);
      }),
    );
    return [];
  }

  /** All replicas have the same of the object, and this value of the key that was written last. */
  async #untilAlike(objectId: string, value: string | undefined): Promise<void> {
    const { clients, replicas } = this.#options;
    await eventually(
      async () => {
        const read = await Promise.all(clients.all().map((client) => this.#ownState(client, objectId)));
        const states = read.filter((state) => state !== undefined);
        const isAlike = states.length === replicas && states.every((state) => isDeepStrictEqual(state, states[0]));
        if (isAlike && states[0]?.[keys[0] ?? ''] === value) return;
        const wanted = `${String(replicas)} replicas with ${value ?? 'nothing'}`;
        throw new Error(`${this.name}: ${objectId} should be alike on ${wanted}: ${JSON.stringify(states)}`);
      },
      { timeoutMs: progressMs, intervalMs: 50 },
    );
  }

  /** What the replica of this node has, with the object's version; undefined for a node that has no replica. */
  async #ownState(client: DataClient, objectId: string): Promise<Readonly<Record<string, string>> | undefined> {
    try {
      // As if another node had passed it on: then it is not passed on again.
      const options = { deadlineMs: callMs, metadata: { 'x-oaas-hop': '1' } };
      const { obj } = await client.get(this.#at(objectId), options);
      const entries = Object.entries(obj?.entries ?? {}).map(([key, { data }]) => [key, data.toString()] as const);
      return Object.fromEntries([...entries.sort(), ['version', String(obj?.metadata?.version)]]);
    } catch (error) {
      if (isOaasError(error, 'NoLeader')) return undefined;
      throw error;
    }
  }

  async #loop(): Promise<void> {
    const { random } = this.#options;
    while (!this.#isStopped) {
      await pause(-Math.log(1 - random.next()) * thinkMs);
      const isDone = await this.#write().then(
        () => true,
        () => false,
      );
      if (isDone) this.done += 1;
      else await pause(100);
    }
  }

  async #write(): Promise<void> {
    const { clients, random } = this.#options;
    const at = this.#at(objectIds[Math.floor(random.next() * objects)] ?? '');
    const key = keys[Math.floor(random.next() * keys.length)] ?? '';
    const chance = random.next();
    const client = clients.any(random);
    const options = { deadlineMs: callMs };
    if (chance < 0.1) await client.delete(at, options);
    else if (chance < 0.25) await client.deleteValue({ ...at, key }, options);
    else await client.setValue({ ...at, key, value: { data: Buffer.from(this.#newValue()) } }, options);
  }

  #newValue(): string {
    return `v${String((this.#values += 1))}`;
  }

  #at(objectId: string): { clsId: string; partitionId: number; objectId: string } {
    const { collection: clsId, partitions } = this.#options;
    return { clsId, partitionId: Number(objectId.slice(1)) % partitions, objectId };
  }
}

const objectIds = Array.from({ length: objects }, (_, i) => `k${String(i)}`);
