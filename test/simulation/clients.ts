import { type OaasError, toOaasError } from '@oaas/commons/errors';
import { type Random, sleep } from '@oaas/commons/time';
import type { Mutation, RaftShard } from '@oaas/odgm/shard';
import { History, type ObjectInput, type ObjectOutput, type Recorded } from '@oaas/odgm/testkit/sim';
import { type Cluster, silence } from './cluster.ts';

const timeoutMs = 3000;

/** Clients that read, write, compare and set, and delete a few objects, and note what they asked and what they heard. */
export class Clients {
  readonly history = new History<ObjectInput, ObjectOutput>();
  /** Operations with a known outcome. */
  done = 0;
  readonly #cluster: Cluster;
  readonly #random: Random;
  /** Whom to ask about a shard: the last leader that was heard of. */
  readonly #leaders = new Map<number, number>();
  /** The last version that some client saw. */
  readonly #versions = new Map<string, number>();
  #isStopped = false;
  #active = 0;
  #values = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#random = cluster.world.randomOf('clients');
  }

  get keys(): readonly string[] {
    return Array.from({ length: this.#cluster.plan.keys }, (_, i) => `k${String(i)}`);
  }

  start(): void {
    this.#isStopped = false;
    for (let i = 0; i < this.#cluster.plan.clients; i += 1) {
      this.#loop(`c${String(i)}`).catch((error: unknown) => {
        this.#cluster.world.fail(error);
      });
    }
  }

  /** Resolves when every client has heard the end of its last operation, or has given it up. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#cluster.world.until(() => this.#active === 0, 10 * timeoutMs);
  }

  async #loop(client: string): Promise<void> {
    const { timers, plan } = this.#cluster;
    this.#active += 1;
    while (!this.#isStopped) {
      await sleep(timers, -Math.log(1 - this.#random.next()) * plan.thinkMs);
      const key = this.keys[Math.floor(this.#random.next() * plan.keys)] ?? 'k0';
      await this.operate(client, key, this.#choose(key));
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
    const shard = this.#shardOf(key);
    const member = this.#leaders.get(shard) ?? 1 + Math.floor(this.#random.next() * this.#cluster.nodes.length);
    const record = this.history.call(key, input, client);
    try {
      const output = await this.#cluster.ask(member, timeoutMs, async (node): Promise<ObjectOutput | 'elsewhere'> => {
        const replica = node.shards.get(shard);
        return replica === undefined ? 'elsewhere' : perform(replica, key, input);
      });
      if (output === silence || output === 'elsewhere') {
        this.#leaders.delete(shard);
        if (output === 'elsewhere') record.refused();
        else record.unknown();
        return false;
      }
      this.#told(client, key, input, output, record);
      return true;
    } catch (thrown) {
      return this.#failed(thrown, shard, client, key, input, record);
    }
  }

  #told(client: string, key: string, input: ObjectInput, output: ObjectOutput, record: Recorded<ObjectOutput>): void {
    const version = output.type === 'conflict' ? output.current : output.version;
    if (version !== undefined) this.#versions.set(key, version);
    this.done += 1;
    record.returned(output);
    this.#cluster.note(`${client} ${key} ${JSON.stringify(input)} -> ${JSON.stringify(output)}`);
  }

  #failed(
    thrown: unknown,
    shard: number,
    client: string,
    key: string,
    input: ObjectInput,
    record: Recorded<ObjectOutput>,
  ): boolean {
    const error: OaasError = toOaasError(thrown);
    if (error.code === 'VersionConflict') {
      this.#told(client, key, input, { type: 'conflict', current: Number(error.details?.['currentVersion']) }, record);
      return true;
    }
    if (error.code === 'Internal') throw error;
    const { leader, outcome } = error.details ?? {};
    if (typeof leader === 'number' && leader > 0) this.#leaders.set(shard, leader);
    else this.#leaders.delete(shard);
    // Every refusal before an entry was proposed says so by its code; the rest is in doubt unless it says otherwise.
    const isKnown = error.code === 'NoLeader' || error.code === 'ResourceExhausted' || outcome === 'notApplied';
    if (isKnown || input.type === 'get') record.refused();
    else record.unknown();
    return false;
  }

  #shardOf(key: string): number {
    const { shards } = this.#cluster;
    return shards[Number(key.slice(1)) % shards.length] ?? 1;
  }
}

/** One operation at a replica, which answers only if it leads or can ask the leader. */
async function perform(replica: RaftShard, key: string, input: ObjectInput): Promise<ObjectOutput> {
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
  const { version } = await replica.mutate(mutationOf(key, input));
  return { type: 'done', version };
}

function mutationOf(objectId: string, input: Exclude<ObjectInput, { type: 'get' }>): Mutation {
  if (input.type === 'delete') return { type: 'delete', objectId };
  const put = new Map([['v', { data: Buffer.from(input.value), type: 'bytes' as const }]]);
  const change = { type: 'change' as const, objectId, put, remove: [], replace: true };
  return input.type === 'cas' ? { ...change, expectedVersion: input.expected } : change;
}
