import type { DataClient } from '@oaas/commons/client';
import { toOaasError } from '@oaas/commons/errors';
import type { Random } from '@oaas/commons/time';
import { describeVerdict, History, type ObjectInput, objectModel, type ObjectOutput } from '@oaas/odgm/testkit/sim';
import { callMs, type NodeClients } from './clients.ts';
import { pause, progressMs, type Workload } from './workload.ts';

export interface RegistersOptions {
  readonly clients: NodeClients;
  readonly random: Random;
  /** A collection of type raft. */
  readonly collection: string;
  readonly partitions: number;
  /** Callers at once. Default 6. */
  readonly callers?: number;
  /** Objects. Default 6. */
  readonly objects?: number;
  /** Mean time between two operations of a caller. Default 15 ms. */
  readonly thinkMs?: number;
}

/** Reads, writes, compares and sets, and deletes of a few objects, whose history must be linearizable. */
export class Registers implements Workload {
  readonly name = 'registers';
  done = 0;
  readonly #options: Required<RegistersOptions>;
  readonly #history = new History<ObjectInput, ObjectOutput>();
  /** The last version that some caller saw. */
  readonly #versions = new Map<string, number>();
  #loops: Promise<void>[] = [];
  #isStopped = false;
  #values = 0;

  constructor(options: RegistersOptions) {
    this.#options = { callers: 6, objects: 6, thinkMs: 15, ...options };
  }

  start(): void {
    this.#isStopped = false;
    this.#loops = Array.from({ length: this.#options.callers }, (_, i) => this.#loop(`c${String(i)}`));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
  }

  async demandProgress(): Promise<void> {
    const { clients, objects } = this.#options;
    const end = performance.now() + progressMs;
    await Promise.all(
      Array.from({ length: objects }, async (_, i) => {
        const key = keyOf(i);
        const put = { type: 'put' as const, value: `final ${String((this.#values += 1))}` };
        await this.#until(end, () => this.#operate('final', clients.any(this.#options.random), key, { type: 'get' }));
        await this.#until(end, () => this.#operate('final', clients.any(this.#options.random), key, put));
        // Whoever is asked says the same.
        for (const client of clients.all()) {
          await this.#until(end, () => this.#operate('final', client, key, { type: 'get' }));
        }
      }),
    );
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as of the port
  async check(): Promise<readonly string[]> {
    const verdicts = this.#history.check(objectModel);
    const violation = verdicts.find(({ verdict }) => verdict.outcome === 'violation');
    if (violation !== undefined) throw new Error(`not linearizable: ${describeVerdict(violation)}`);
    return verdicts.map(({ key }) => `${this.name} ${key}: too many orders are possible`);
  }

  async #until(end: number, isDone: () => Promise<boolean>): Promise<void> {
    while (!(await isDone())) {
      if (performance.now() > end) throw new Error(`no progress of the registers within ${String(progressMs)} ms`);
      await pause(50);
    }
  }

  async #loop(caller: string): Promise<void> {
    const { random, thinkMs, clients, objects } = this.#options;
    while (!this.#isStopped) {
      await pause(-Math.log(1 - random.next()) * thinkMs);
      const key = keyOf(Math.floor(random.next() * objects));
      // One that got no answer waits before it adds another operation that may have happened or not.
      if (!(await this.#operate(caller, clients.any(random), key, this.#choose(key)))) await pause(100);
    }
  }

  #choose(key: string): ObjectInput {
    const value = `v${String((this.#values += 1))}`;
    const chance = this.#options.random.next();
    if (chance < 0.45) return { type: 'get' };
    if (chance < 0.7) return { type: 'put', value };
    if (chance < 0.93) return { type: 'cas', expected: this.#versions.get(key) ?? 0, value };
    return { type: 'delete' };
  }

  /** True when the outcome is known: it was done, or conflicts with what is there. */
  async #operate(caller: string, client: DataClient, key: string, input: ObjectInput): Promise<boolean> {
    const record = this.#history.call(key, input, caller);
    const told = (output: ObjectOutput): true => {
      const version = output.type === 'conflict' ? output.current : output.version;
      if (version !== undefined) this.#versions.set(key, version);
      this.done += 1;
      record.returned(output);
      return true;
    };
    try {
      return told(await this.#perform(client, key, input));
    } catch (thrown) {
      const { code, details } = toOaasError(thrown);
      if (code === 'VersionConflict') {
        const current = details?.['currentVersion'];
        return told({ type: 'conflict', current: current === undefined ? undefined : Number(current) });
      }
      if (code === 'Internal' || code === 'DataLoss' || code === 'StorageCorrupt') throw thrown;
      // These say that nothing came of it; all else is in doubt unless it says otherwise.
      const isKnown = code === 'NoLeader' || code === 'StorageFull' || details?.['outcome'] === 'notApplied';
      if (isKnown || input.type === 'get') record.refused();
      else record.unknown();
      return false;
    }
  }

  async #perform(client: DataClient, objectId: string, input: ObjectInput): Promise<ObjectOutput> {
    const { collection: clsId, partitions } = this.#options;
    const at = { clsId, partitionId: Number(objectId.slice(1)) % partitions, objectId };
    const options = { deadlineMs: callMs };
    switch (input.type) {
      case 'get': {
        const { value, objectVersion } = await client.getValue({ ...at, key: 'v' }, options);
        return { type: 'got', value: value?.data.toString(), version: objectVersion ?? 0 };
      }
      case 'put':
        await client.set({ ...at, object: { entries: { v: { data: Buffer.from(input.value) } } } }, options);
        return { type: 'done' };
      case 'cas':
        await client.batchSetValues(
          { ...at, values: { v: { data: Buffer.from(input.value) } }, expectedObjectVersion: input.expected },
          options,
        );
        return { type: 'done' };
      case 'delete':
        await client.delete(at, options);
        return { type: 'done' };
    }
  }
}

const keyOf = (i: number): string => `k${String(i)}`;
