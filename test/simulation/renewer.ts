import type { RaftGroup } from '@oaas/odgm/replication';
import type { SimNode } from '@oaas/odgm/testkit/sim';
import type { Cluster, Running } from './cluster.ts';
import type { Operator } from './operator.ts';

/** At least so long between two renewals, so that replicas come to have something. */
const restMs = 500;

/**
 * Takes the replica of a learner away in the middle of taking over a snapshot, while it is received or while it is being
 * installed, and has it made anew. Only in runs whose learners never get a vote: nothing counts on what they have.
 */
export class Renewer {
  isActive = false;
  /** Replicas that were taken away in the middle. */
  strikes = 0;
  readonly #cluster: Cluster;
  readonly #operator: Operator;
  readonly #random;
  readonly #isOn: boolean;
  readonly #generations = new WeakMap<RaftGroup, number>();
  readonly #receiving = new WeakMap<Running, number>();
  #notBefore = 0;

  constructor(cluster: Cluster, operator: Operator) {
    this.#cluster = cluster;
    this.#operator = operator;
    this.#random = cluster.world.randomOf('renewer');
    this.#isOn = cluster.plan.keepsLearners && this.#random.next() < 0.7;
    if (!this.#isOn) return;
    cluster.world.always((touched) => {
      if (this.isActive) this.#look(touched);
    });
  }

  #look(touched: SimNode | undefined): void {
    for (const [member, node] of this.#cluster.running) {
      if (touched !== undefined && node.process.node !== touched) continue;
      const receiving = node.host.snapshots().receiving;
      const isNew = receiving > (this.#receiving.get(node) ?? 0);
      this.#receiving.set(node, receiving);
      for (const group of node.host.groups()) {
        const before = this.#generations.get(group);
        this.#generations.set(group, group.generation);
        // It has the number of the new state at once, and that is written only now.
        if (before !== undefined && before !== group.generation) this.#strike(member, node, group, 0);
        else if (isNew) this.#strike(member, node, group, this.#random.next() * 60);
      }
    }
  }

  #strike(member: number, node: Running, { group }: RaftGroup, afterMs: number): void {
    const { world } = this.#cluster;
    if (world.now < this.#notBefore || this.#random.next() < 0.3 || !this.#isLearner(member, group)) return;
    this.#notBefore = world.now + restMs;
    world.afterFor(node.process, afterMs, () => {
      if (!this.#isLearner(member, group)) return;
      this.strikes += 1;
      this.#operator.renew(member, group);
    });
  }

  /** Nobody takes it for anything else, nor is about to. */
  #isLearner(member: number, group: number): boolean {
    const leader = this.#cluster.leaderOf(group)?.shard.group;
    if (leader?.confState.learners.includes(member) !== true) return false;
    const open = leader.view.entriesFrom(leader.applied + 1);
    return open !== 'compacted' && open.every(({ type }) => type === 0);
  }
}
