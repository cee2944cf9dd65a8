import { toOaasError } from '@oaas/commons/errors';
import type { Random, Timers } from '@oaas/commons/time';
import type { ObjectInput, ObjectOutput, SimWorld } from '@oaas/odgm/testkit/sim';
import { callMs, elsewhere, perform, silence, type Target } from './clients.ts';
import type { Cluster } from './cluster.ts';

/** Asks the replicas of a cluster: the last leader that was heard of, or any member. */
export class Asker implements Target {
  readonly world: SimWorld;
  readonly timers: Timers;
  readonly plan: Target['plan'];
  readonly #cluster: Cluster;
  readonly #random: Random;
  /** Whom to ask about a shard. */
  readonly #leaders = new Map<number, number>();

  constructor(cluster: Cluster) {
    this.world = cluster.world;
    this.timers = cluster.timers;
    this.plan = cluster.plan;
    this.#cluster = cluster;
    this.#random = cluster.world.randomOf('asker');
  }

  note(line: string): void {
    this.#cluster.note(line);
  }

  async ask(key: string, input: ObjectInput): Promise<ObjectOutput | typeof silence | typeof elsewhere> {
    const { shards, nodes } = this.#cluster;
    const shard = shards[Number(key.slice(1)) % shards.length] ?? 1;
    const member = this.#leaders.get(shard) ?? 1 + Math.floor(this.#random.next() * nodes.length);
    try {
      const output = await this.#cluster.ask(member, callMs, async (node): Promise<ObjectOutput | typeof elsewhere> => {
        const replica = node.shards.get(shard);
        return replica === undefined ? elsewhere : perform(replica, key, input);
      });
      if (output === silence || output === elsewhere) this.#leaders.delete(shard);
      return output;
    } catch (thrown) {
      const { code, details } = toOaasError(thrown);
      const leader = details?.['leader'];
      if (typeof leader === 'number' && leader > 0) this.#leaders.set(shard, leader);
      else if (code !== 'VersionConflict') this.#leaders.delete(shard);
      throw thrown;
    }
  }
}
