import type { RaftGroup } from '@oaas/odgm/replication';
import type { SimNode } from '@oaas/odgm/testkit/sim';
import type { Cluster } from './cluster.ts';

/** At least so long between two, so that members come to change in between. */
const restMs = 3000;

/**
 * Strikes when a leader has just come to another configuration, before anybody else knows that it is in force: with just
 * so many others that they are a majority of its voters, while the rest are a majority of those before, it is cut off. The
 * rest still takes the voters before for all there are, and elects another leader. A joint configuration leaves room for
 * that, and must hold; simple changes leave none, as long as each waits for the one before it.
 */
export class ChangeAmbush {
  isActive = false;
  strikes = 0;
  /** It strikes in this run. */
  readonly isOn: boolean;
  readonly #cluster: Cluster;
  readonly #random;
  /** Of the group's configuration that was seen last. */
  readonly #voters = new WeakMap<RaftGroup, { readonly incoming: string; readonly isJoint: boolean }>();
  #notBefore = 0;

  /** `isSure`: members change in a hurry, which is what this is about. */
  constructor(cluster: Cluster, isSure: boolean) {
    this.#cluster = cluster;
    this.#random = cluster.world.randomOf('joint ambush');
    // Not in every run: others need their joint configurations to come to an end.
    this.isOn = this.#random.next() < 0.3 || isSure;
    if (!this.isOn) return;
    cluster.world.always((touched) => {
      if (this.isActive) this.#look(touched);
    });
  }

  #look(touched: SimNode | undefined): void {
    for (const [member, { host, process }] of this.#cluster.running) {
      if (touched !== undefined && process.node !== touched) continue;
      for (const group of host.groups()) {
        const { voters, votersOutgoing } = group.confState;
        const before = this.#voters.get(group);
        const isJoint = votersOutgoing.length > 0;
        const incoming = voters.join();
        if (before?.incoming === incoming && before.isJoint === isJoint) continue;
        this.#voters.set(group, { incoming, isJoint });
        // What a joint configuration ends with was in force before.
        if (before === undefined || before.isJoint || !group.isLeader) continue;
        const outgoing = isJoint ? votersOutgoing : this.#oldestVoters(group);
        this.#strike(member, companyOf(member, voters, outgoing));
      }
    }
  }

  /** Of the replica that has applied the least. */
  #oldestVoters({ group, confState, applied }: RaftGroup): readonly number[] {
    let oldest = { voters: confState.voters, applied };
    for (const { host } of this.#cluster.running.values()) {
      const other = host.group(group);
      if (other !== undefined && other.applied < oldest.applied) {
        oldest = { voters: other.confState.voters, applied: other.applied };
      }
    }
    return oldest.voters;
  }

  #strike(leader: number, company: readonly number[] | undefined): void {
    const { network, nodes, world } = this.#cluster;
    if (company === undefined || world.now < this.#notBefore || this.#random.next() < 0.2) return;
    this.#notBefore = world.now + restMs;
    this.strikes += 1;
    const ids = company.map((member) => this.#cluster.nodeOf(member).id);
    this.#cluster.note(`ambush on ${this.#cluster.nodeOf(leader).id}, whose members change`);
    const rest = nodes.map(({ id }) => id).filter((id) => !ids.includes(id));
    // Not at once: this is in the middle of a check. What is on its way is held up as well.
    world.after(0, () => network.partition([ids, rest]));
    world.after(1500 + this.#random.next() * 2500, () => network.heal());
  }
}

/** The fewest that are a majority of the incoming voters; undefined when what is left is none of the outgoing ones. */
function companyOf(leader: number, voters: readonly number[], outgoing: readonly number[]): number[] | undefined {
  const company = [leader, ...voters.filter((voter) => voter !== leader && !outgoing.includes(voter))];
  const isMajority = (of: readonly number[], wanted: (member: number) => boolean): boolean =>
    of.filter(wanted).length * 2 > of.length;
  for (const voter of voters) {
    if (isMajority(voters, (member) => company.includes(member))) break;
    if (!company.includes(voter)) company.push(voter);
  }
  return isMajority(outgoing, (member) => !company.includes(member)) ? company : undefined;
}
