import { createDataClient, type DataClient } from '@oaas/commons/client';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import type { GridPlan } from './grid.ts';
import { type GridProcesses, pause, startGrid } from './servers.ts';
import type { Figure } from './throughput.ts';

const partitions = 12;
const objects = 1600;
/** Entries of 1 KiB in an object: 100 MiB in all. */
const entries = 64;
const value = Buffer.alloc(1024, 0x61);
/** Calls a second, half of them writes. */
const rate = 1000;
const idleMs = 5000;
const taskMs = 180_000;

/** Drains one of four nodes, with 100 MiB in the grid, while clients go on. */
export async function rebalance(plan: GridPlan): Promise<Figure[]> {
  const collection = `name=moved,type=raft,partitions=${partitions},replicas=3`;
  const args = ['--nodes', '4', '--port-base', String(plan.portBase), '--collection', collection];
  const grid = await startGrid(`${plan.dir}/rebalance`, args);
  const address = grid.members()[0]?.grpc ?? '';
  const channel = createEdgeChannel(address, { clock: systemClock, timers: systemTimers, random: systemRandom });
  try {
    const client = createDataClient(channel);
    await fill(client);
    const idle = new Load(client);
    await pause(idleMs);
    const before = await idle.stop();
    const busy = new Load(client);
    const startedAt = performance.now();
    const task = await drain(grid, 'n4');
    const seconds = (performance.now() - startedAt) / 1000;
    const during = await busy.stop();
    const ratio = during.p99 / before.p99;
    return [
      {
        name: `drain of a node, ${task.moves} moves, ${task.mebibytes.toFixed(0)} MiB, under load`,
        value: seconds,
        unit: 's',
      },
      {
        name: `calls failed meanwhile, of ${during.calls}`,
        value: during.failed,
        unit: '',
        bar: { text: '0', met: during.failed === 0 },
      },
      { name: 'p99 of calls without a rebalance', value: before.p99, unit: 'ms' },
      {
        name: 'p99 of calls meanwhile',
        value: during.p99,
        unit: 'ms',
        bar: { text: `< 3x idle (${ratio.toFixed(2)}x)`, met: ratio < 3 },
      },
    ];
  } finally {
    channel.close();
    await grid.stop();
  }
}

async function fill(client: DataClient): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = next++; n < objects; n = next++) {
      const values = Object.fromEntries(Array.from({ length: entries }, (_, i) => [`e${i}`, { data: value }]));
      await client.batchSetValues({ clsId: 'moved', partitionId: n % partitions, objectId: `o${n}`, values });
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

interface LoadOutcome {
  readonly calls: number;
  readonly failed: number;
  readonly p99: number;
}

/** Calls at a fixed rate, none of them retried by this program. Each counts from when it was due. */
class Load {
  readonly #client: DataClient;
  readonly #times: number[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #sent = 0;
  #failed = 0;

  constructor(client: DataClient) {
    this.#client = client;
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
    const object = { clsId: 'moved', partitionId: n % partitions, objectId: `o${n % objects}`, key: 'e0' };
    const client = this.#client;
    const options = { deadlineMs: 10_000 };
    const call =
      n % 2 === 0 ? client.setValue({ ...object, value: { data: value } }, options) : client.getValue(object, options);
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

/** Resolves when the task has ended well. */
async function drain(grid: GridProcesses, id: string): Promise<{ moves: number; mebibytes: number }> {
  const url = grid.members()[0]?.http ?? '';
  const ask = async (method: string, path: string): Promise<Record<string, unknown>> => {
    const response = await fetch(`${url}${path}`, { method });
    const body = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`${path}: ${JSON.stringify(body)}`);
    return body;
  };
  const { task_id: task } = await ask('POST', `/admin/members/${id}/drain`);
  let seen: Record<string, unknown> = {};
  for (const until = performance.now() + taskMs; performance.now() < until;) {
    await pause(100);
    seen = await ask('GET', `/admin/tasks/${String(task)}`);
    const { state, shards_total: moves, bytes_done: bytes } = seen;
    if (state === 'succeeded') return { moves: Number(moves), mebibytes: Number(bytes) / 2 ** 20 };
    if (state === 'failed' || state === 'cancelled') throw new Error(`the drain ${state}`);
  }
  throw new Error(`the drain did not end in time: ${JSON.stringify(seen)}`);
}
