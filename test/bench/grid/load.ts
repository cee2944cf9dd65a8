import type { DataClient } from '@oaas/commons/client';
import { pause } from './servers.ts';

/** Objects `o0`, `o1`, … in the partitions of a collection, in turn, each with entries `e0`, `e1`, … of 1 KiB. */
export interface Filled {
  readonly cls: string;
  readonly partitions: number;
  readonly objects: number;
  readonly entries: number;
}

/** Calls a second, half of them writes. */
const rate = 1000;
const taskMs = 180_000;
const warmMs = 15_000;
const restMs = 10_000;
const bytesOfValue = 1024;

/** A value of 1 KiB that no other number has: a write of what is there already would be none. */
export function valueOf(n: number): Buffer {
  const value = Buffer.alloc(bytesOfValue, 0x61);
  value.writeUInt32BE(n % 2 ** 32, 0);
  return value;
}

export async function fill(client: DataClient, { cls, partitions, objects, entries }: Filled): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = next++; n < objects; n = next++) {
      const data = valueOf(n);
      const values = Object.fromEntries(Array.from({ length: entries }, (_, i) => [`e${i}`, { data }]));
      await client.batchSetValues({ clsId: cls, partitionId: n % partitions, objectId: `o${n}`, values });
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

export interface LoadOutcome {
  readonly calls: number;
  readonly failed: number;
  readonly p99: number;
}

/** Calls at a fixed rate, none of them retried by this program. Each counts from when it was due. */
export class Load {
  readonly #client: DataClient;
  readonly #about: Filled;
  readonly #times: number[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #sent = 0;
  #failed = 0;

  constructor(client: DataClient, about: Filled) {
    this.#client = client;
    this.#about = about;
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - this.#startedAt) * rate) / 1000);
      while (this.#sent < due) this.#send(this.#startedAt + (this.#sent * 1000) / rate);
    }, 1);
  }

  async stop(): Promise<LoadOutcome> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    const sorted = this.#times.sort((a, b) => a - b);
    const p99 = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? Number.NaN;
    return { calls: this.#sent, failed: this.#failed, p99 };
  }

  #send(dueAt: number): void {
    const n = this.#sent++;
    const { cls, partitions, objects } = this.#about;
    const object = { clsId: cls, partitionId: n % partitions, objectId: `o${n % objects}`, key: 'e0' };
    const client = this.#client;
    const options = { deadlineMs: 10_000 };
    const call =
      n % 2 === 0
        ? client.setValue({ ...object, value: { data: valueOf(n) } }, options)
        : client.getValue(object, options);
    const done = call.then(
      () => {
        this.#times.push(performance.now() - dueAt);
        this.#pending.delete(done);
      },
      (error: unknown) => {
        if (this.#failed === 0) console.error(error);
        this.#failed += 1;
        this.#pending.delete(done);
      },
    );
    this.#pending.add(done);
  }
}

/** What the load is answered in while nothing else happens, in milliseconds: what a busy time is held against. */
export async function p99AtRest(client: DataClient, about: Filled): Promise<number> {
  // Not what comes of the filling, and of programs that have served nothing yet.
  const warming = new Load(client, about);
  await pause(warmMs);
  await warming.stop();
  const load = new Load(client, about);
  await pause(restMs);
  return (await load.stop()).p99;
}

/** Asks the admin API of a node; throws what it says when it refuses. */
export async function ask(http: string, method: 'GET' | 'POST', path: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${http}${path}`, { method });
  const body = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new Error(`${path}: ${JSON.stringify(body)}`);
  return body;
}

/** Starts a task and gives it as it is when it has ended well. */
export async function runTask(http: string, path: string): Promise<Record<string, unknown>> {
  const { task_id: task } = await ask(http, 'POST', path);
  let seen: Record<string, unknown> = {};
  for (const until = performance.now() + taskMs; performance.now() < until;) {
    await pause(100);
    seen = await ask(http, 'GET', `/admin/tasks/${String(task)}`);
    const { state } = seen;
    if (state === 'succeeded') return seen;
    if (state === 'failed' || state === 'cancelled') throw new Error(`${path}: the task ${state}`);
  }
  throw new Error(`${path}: the task did not end in time: ${JSON.stringify(seen)}`);
}
