import type { RaftGroup } from '@oaas/odgm/replication';
import type { Cluster } from './cluster.ts';
import type { Operator } from './operator.ts';

/** At least so long between two. */
const restMs = 3000;
/** A voter that was cut off is to meet the one that came back within this, or never. */
const meetMs = 6000;
const lookMs = 20;

/** A voter that does not hear that another one has left, which comes back. */
interface Pair {
  readonly group: number;
  readonly late: number;
  readonly gone: number;
  /** Of the replica that goes. */
  readonly epoch: number;
}

/**
 * Has one of three voters taken out and made anew while a second one is cut off, which does not hear of that; then these
 * two have only each other. They are a majority of the voters that the second one knows, and lack what was committed since.
 */
export class ReturnAmbush {
  isActive = false;
  strikes = 0;
  readonly #cluster: Cluster;
  readonly #operator: Operator;
  readonly #random;
  #notBefore = 0;

  /** `isFree`: nobody else strikes when members change. */
  constructor(cluster: Cluster, operator: Operator, isFree: boolean) {
    this.#cluster = cluster;
    this.#operator = operator;
    this.#random = cluster.world.randomOf('return ambush');
    if (this.#random.next() >= 0.3 || !isFree) return;
    cluster.world.always(() => {
      if (this.isActive && cluster.world.now >= this.#notBefore) this.#strike();
    });
  }

  #strike(): void {
    const { world, shards, running } = this.#cluster;
    this.#notBefore = world.now + restMs;
    const group = shards[Math.floor(this.#random.next() * shards.length)] ?? 1;
    const leader = this.#cluster.leaderOf(group);
    const { voters = [], votersOutgoing = [] } = leader?.shard.group.confState ?? {};
    if (voters.length !== 3 || votersOutgoing.length > 0 || this.#operator.isBusy) return;
    const [gone, late] = voters.filter((voter) => voter !== leader?.member);
    if (gone === undefined || late === undefined) return;
    const pair = { group, late, gone, epoch: running.get(gone)?.host.group(group)?.epoch ?? 1 };
    if (!this.#isLate(pair)) return;
    this.#notBefore = world.now + restMs + meetMs;
    this.#note(`${this.#id(late)} is not to hear that ${this.#id(gone)} leaves group ${group}`);
    // Not at once: this is in the middle of a check. What is on its way is held up as well.
    world.after(0, () => {
      this.#leaveOnly(late);
      this.#operator.takeOutAndBack(gone, group);
    });
    this.#follow(pair, world.now + meetMs);
  }

  /** Until they have met, or something else has come between. */
  #follow(pair: Pair, until: number): void {
    const { world, network, running } = this.#cluster;
    world.after(lookMs, () => {
      if (!this.isActive || world.now >= until || !this.#isLate(pair)) {
        network.heal();
        return;
      }
      const came = running.get(pair.gone)?.host.group(pair.group);
      if (came !== undefined && came.epoch > pair.epoch) {
        this.strikes += 1;
        this.#note(`${this.#id(pair.late)} meets ${this.#id(pair.gone)}, which came back`);
        this.#leaveOnly(pair.late, pair.gone);
        world.after(2000 + this.#random.next() * 2000, () => network.heal());
        return;
      }
      this.#follow(pair, until);
    });
  }

  /** It takes the three voters for all there are. */
  #isLate({ group, late, gone }: Pair): boolean {
    const seen: RaftGroup | undefined = this.#cluster.running.get(late)?.host.group(group);
    const { voters = [], votersOutgoing = [] } = seen?.confState ?? {};
    return voters.length === 3 && votersOutgoing.length === 0 && voters.includes(gone) && voters.includes(late);
  }

  #leaveOnly(...members: readonly number[]): void {
    const { network, nodes } = this.#cluster;
    const ids = members.map((member) => this.#id(member));
    network.partition([ids, nodes.map(({ id }) => id).filter((id) => !ids.includes(id))]);
  }

  #id(member: number): string {
    return this.#cluster.nodeOf(member).id;
  }

  #note(line: string): void {
    this.#cluster.note(`ambush: ${line}`);
  }
}
