import { toOaasError } from '@oaas/commons/errors';
import type { Random, Timers } from '@oaas/commons/time';
import type { ObjectInput, ObjectOutput, SimWorld } from '@oaas/odgm/testkit/sim';
import { callMs, elsewhere, perform, silence, type Target } from './clients.ts';
import type { Cluster } from './cluster.ts';

/**
 * Asks the replicas of a cluster: the last leader that was heard of, or any member. In some runs clients tell each other
 * nothing, lose patience soon, and some only read, from whoever led when they began, for as long as that one answers.
 */
export class Asker implements Target {
  readonly world: SimWorld;
  readonly timers: Timers;
  readonly plan: Target['plan'];
  readonly #cluster: Cluster;
  readonly #random: Random;
  /** Whom to ask about a shard, for all clients or for each. */
  readonly #leaders = new Map<string, number>();
  readonly #isLoyal: boolean;
  readonly #patienceMs: number;
  readonly readers: number;

  constructor(cluster: Cluster) {
    this.world = cluster.world;
    this.timers = cluster.timers;
    this.plan = cluster.plan;
    this.#cluster = cluster;
    this.#random = cluster.world.randomOf('asker');
    const loyalty = cluster.world.randomOf('loyalty');
    this.#isLoyal = loyalty.next() < 0.2;
    this.#patienceMs = this.#isLoyal ? 200 + loyalty.next() * 600 : callMs;
    this.readers = this.#isLoyal ? Math.floor(cluster.plan.clients / 2) : 0;
  }

  note(line: string): void {
    this.#cluster.note(line);
  }

  async ask(
    key: string,
    input: ObjectInput,
    client: string,
  ): Promise<ObjectOutput | typeof silence | typeof elsewhere> {
    const { shards, nodes } = this.#cluster;
    const shard = shards[Number(key.slice(1)) % shards.length] ?? 1;
    const whose = this.#isLoyal ? `${client} ${String(shard)}` : String(shard);
    const first = this.#isLoyal && input.type === 'get' ? this.#cluster.leaderOf(shard)?.member : undefined;
    const member = this.#leaders.get(whose) ?? first ?? 1 + Math.floor(this.#random.next() * nodes.length);
    if (first !== undefined) this.#leaders.set(whose, member);
    try {
      const output = await this.#cluster.ask(
        member,
        this.#patienceMs,
        async (node): Promise<ObjectOutput | typeof elsewhere> => {
          const replica = node.shards.get(shard);
          return replica === undefined ? elsewhere : perform(replica, key, input);
        },
      );
      if (output === silence || output === elsewhere) this.#leaders.delete(whose);
      return output;
    } catch (thrown) {
      const { code, details } = toOaasError(thrown);
      const leader = details?.['leader'];
      if (typeof leader === 'number' && leader > 0) this.#leaders.set(whose, leader);
      else if (code !== 'VersionConflict') this.#leaders.delete(whose);
      throw thrown;
    }
  }
}
