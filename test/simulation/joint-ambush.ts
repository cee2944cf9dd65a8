import type { ConfState } from '@oaas/odgm/raft';
import type { RaftGroup } from '@oaas/odgm/replication';
import type { SimNode } from '@oaas/odgm/testkit/sim';
import type { Cluster } from './cluster.ts';

/** At least so long between two, so that members come to change in between. */
const restMs = 3000;

/**
 * Strikes when a leader has just entered a joint configuration, before anybody else knows that it is in force: with just
 * so many others that they are a majority of the incoming half, and none of the outgoing one, it is cut off. The rest
 * still takes the outgoing half for all there is, and elects another leader.
 */
export class JointAmbush {
  isActive = false;
  strikes = 0;
  readonly #cluster: Cluster;
  readonly #random;
  readonly #wasJoint = new WeakMap<RaftGroup, boolean>();
  #notBefore = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#random = cluster.world.randomOf('joint ambush');
    // Not in every run: others need their joint configurations to come to an end.
    if (this.#random.next() >= 0.3) return;
    cluster.world.always((touched) => {
      if (this.isActive) this.#look(touched);
    });
  }

  #look(touched: SimNode | undefined): void {
    for (const [member, { host, process }] of this.#cluster.running) {
      if (touched !== undefined && process.node !== touched) continue;
      for (const group of host.groups()) {
        const isJoint = group.confState.votersOutgoing.length > 0;
        const isNew = isJoint && this.#wasJoint.get(group) === false;
        this.#wasJoint.set(group, isJoint);
        if (isNew && group.isLeader) this.#strike(member, group);
      }
    }
  }

  #strike(leader: number, { confState }: RaftGroup): void {
    const { network, nodes, world } = this.#cluster;
    const company = companyOf(leader, confState);
    if (company === undefined || world.now < this.#notBefore || this.#random.next() < 0.2) return;
    this.#notBefore = world.now + restMs;
    this.strikes += 1;
    const ids = company.map((member) => this.#cluster.nodeOf(member).id);
    this.#cluster.note(`joint ambush on ${this.#cluster.nodeOf(leader).id}`);
    const rest = nodes.map(({ id }) => id).filter((id) => !ids.includes(id));
    // Not at once: this is in the middle of a check. What is on its way is held up as well.
    world.after(0, () => network.partition([ids, rest]));
    world.after(1500 + this.#random.next() * 2500, () => network.heal());
  }
}

/** The fewest that are a majority of the incoming half; undefined when what is left is none of the outgoing half. */
function companyOf(leader: number, { voters, votersOutgoing }: ConfState): number[] | undefined {
  const company = [leader, ...voters.filter((voter) => voter !== leader && !votersOutgoing.includes(voter))];
  const isMajority = (of: readonly number[], wanted: (member: number) => boolean): boolean =>
    of.filter(wanted).length * 2 > of.length;
  for (const voter of voters) {
    if (isMajority(voters, (member) => company.includes(member))) break;
    if (!company.includes(voter)) company.push(voter);
  }
  return isMajority(votersOutgoing, (member) => !company.includes(member)) ? company : undefined;
}
