import { type OaasError, toOaasError } from '@oaas/commons/errors';
import { type Random, sleep, type Timers } from '@oaas/commons/time';
import type { Mutation, RaftShard } from '@oaas/odgm/shard';
import {
  describeVerdict,
  History,
  type ObjectInput,
  objectModel,
  type ObjectOutput,
  type Recorded,
  type SimWorld,
} from '@oaas/odgm/testkit/sim';

/** A call that hears nothing for so long is given up. */
export const callMs = 3000;

/** A call that got no answer in time: it may have been made, or not. */
export const silence = Symbol('silence');
/** Whoever was asked has no such shard: nothing was done. */
export const elsewhere = Symbol('elsewhere');

/** What clients ask: it knows whom to ask, and rejects with what it hears. */
export interface Target {
  readonly world: SimWorld;
  readonly timers: Timers;
  readonly plan: { readonly clients: number; readonly keys: number; readonly thinkMs: number };
  /** So many of the clients only read. Default 0. */
  readonly readers?: number;
  note(line: string): void;
  ask(key: string, input: ObjectInput, client: string): Promise<ObjectOutput | typeof silence | typeof elsewhere>;
}

/** Clients that read, write, compare and set, and delete a few objects, and note what they asked and what they heard. */
export class Clients {
  readonly history = new History<ObjectInput, ObjectOutput>();
  /** Operations with a known outcome. */
  done = 0;
  readonly #target: Target;
  readonly #random: Random;
  /** The last version that some client saw. */
  readonly #versions = new Map<string, number>();
  #isStopped = false;
  #active = 0;
  #values = 0;

  constructor(target: Target) {
    this.#target = target;
    this.#random = target.world.randomOf('clients');
  }

  get keys(): readonly string[] {
    return Array.from({ length: this.#target.plan.keys }, (_, i) => `k${String(i)}`);
  }

  start(): void {
    this.#isStopped = false;
    const { plan, readers = 0 } = this.#target;
    for (let i = 0; i < plan.clients; i += 1) {
      this.#loop(`c${String(i)}`, i < readers).catch((error: unknown) => {
        this.#target.world.fail(error);
      });
    }
  }

  /** Resolves when every client has heard the end of its last operation, or has given it up. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#target.world.until(() => this.#active === 0, 10 * callMs);
  }

  /** Every key can be written and read, which also shows what became of all that was written before. Rejects if not. */
  async demandProgress(withinMs: number): Promise<void> {
    const { world, timers } = this.#target;
    const end = world.now + withinMs;
    let left = this.keys.length;
    const demand = async (key: string): Promise<void> => {
      const inputs = [
        { type: 'get' as const },
        { type: 'put' as const, value: `final ${String(world.now)}` },
        { type: 'get' as const },
      ];
      for (const input of inputs) {
        while (world.now < end && !(await this.operate('final', key, input))) await sleep(timers, 50);
      }
      left -= 1;
    };
    for (const key of this.keys) demand(key).catch((error: unknown) => world.fail(error));
    const isDone = await world.until(() => left === 0, withinMs + 10_000);
    if (!isDone || world.now >= end) throw new Error(`no progress within ${String(withinMs)} ms of a healed quorum`);
  }

  /** Throws when what was heard fits no order; gives the number of keys for which that could not be decided. */
  judge(): number {
    const verdicts = this.history.check(objectModel);
    const violation = verdicts.find(({ verdict }) => verdict.outcome === 'violation');
    if (violation !== undefined) throw new Error(`not linearizable: ${describeVerdict(violation)}`);
    return verdicts.length;
  }

  async #loop(client: string, isReader: boolean): Promise<void> {
    const { timers, plan } = this.#target;
    this.#active += 1;
    while (!this.#isStopped) {
      await sleep(timers, -Math.log(1 - this.#random.next()) * plan.thinkMs);
      const key = this.keys[Math.floor(this.#random.next() * plan.keys)] ?? 'k0';
      await this.operate(client, key, isReader ? { type: 'get' } : this.#choose(key));
    }
    this.#active -= 1;
  }

  #choose(key: string): ObjectInput {
    const value = `v${String((this.#values += 1))}`;
    const chance = this.#random.next();
    if (chance < 0.4) return { type: 'get' };
    if (chance < 0.7) return { type: 'put', value };
    if (chance < 0.93) return { type: 'cas', expected: this.#versions.get(key) ?? 0, value };
    return { type: 'delete' };
  }

  /** True when the outcome is known: it was done, or conflicts with what is there. */
  async operate(client: string, key: string, input: ObjectInput): Promise<boolean> {
    const record = this.history.call(key, input, client);
    try {
      const output = await this.#target.ask(key, input, client);
      if (output === silence) record.unknown();
      if (output === elsewhere) record.refused();
      if (output === silence || output === elsewhere) return false;
      this.#told(client, key, input, output, record);
      return true;
    } catch (thrown) {
      return this.#failed(thrown, client, key, input, record);
    }
  }

  #told(client: string, key: string, input: ObjectInput, output: ObjectOutput, record: Recorded<ObjectOutput>): void {
    const version = output.type === 'conflict' ? output.current : output.version;
    if (version !== undefined) this.#versions.set(key, version);
    this.done += 1;
    record.returned(output);
    this.#target.note(`${client} ${key} ${JSON.stringify(input)} -> ${JSON.stringify(output)}`);
  }

  #failed(thrown: unknown, client: string, key: string, input: ObjectInput, record: Recorded<ObjectOutput>): boolean {
    const error: OaasError = toOaasError(thrown);
    if (error.code === 'VersionConflict') {
      this.#told(client, key, input, { type: 'conflict', current: Number(error.details?.['currentVersion']) }, record);
      return true;
    }
    if (error.code === 'Internal') throw error;
    const outcome = error.details?.['outcome'];
    // Every refusal before an entry was proposed says so by its code; the rest is in doubt unless it says otherwise.
    const isKnown = error.code === 'NoLeader' || error.code === 'ResourceExhausted' || outcome === 'notApplied';
    if (isKnown || input.type === 'get') record.refused();
    else record.unknown();
    return false;
  }
}

/** Triggers of the objects, and when a change came that sets them off. */
export interface Firing {
  readonly event?: Uint8Array | undefined;
  readonly at?: number | undefined;
}

/** One operation at a replica, which answers only if it leads or can ask the leader. */
export async function perform(
  replica: RaftShard,
  key: string,
  input: ObjectInput,
  firing: Firing = {},
): Promise<ObjectOutput> {
  if (input.type === 'get') {
    const reader = await replica.read('linearizable');
    const object = reader.object(key);
    const value = object?.entries.get('v')?.data;
    return {
      type: 'got',
      value: value === undefined ? undefined : Buffer.from(value).toString(),
      version: object?.meta.version ?? 0,
    };
  }
  const { version } = await replica.mutate({ ...mutationOf(key, input), ...firing });
  return { type: 'done', version };
}

function mutationOf(objectId: string, input: Exclude<ObjectInput, { type: 'get' }>): Mutation {
  if (input.type === 'delete') return { type: 'delete', objectId };
  const put = new Map([['v', { data: Buffer.from(input.value), type: 'bytes' as const }]]);
  const change = { type: 'change' as const, objectId, put, remove: [], replace: true };
  return input.type === 'cas' ? { ...change, expectedVersion: input.expected } : change;
}
