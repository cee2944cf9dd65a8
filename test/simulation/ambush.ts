import type { Random } from '@oaas/commons/time';
import type { ConfState } from '@oaas/odgm/raft';
import type { RaftGroup } from '@oaas/odgm/replication';
import type { Cluster } from './cluster.ts';

/** At least so long between two ambushes, so that something can happen in between. */
const restMs = 700;

/** A trap that nobody has walked into by then is taken away. */
const trapMs = 6000;

interface Trap {
  readonly group: number;
  /** Members that were cut off, one after the other. */
  readonly first: number;
  second: number | undefined;
}

/**
 * Strikes where chance seldom does: a leader that was just elected, or that just counted a commit, is cut off, and some of
 * those who helped it crash and come back at once. Whatever they had promised must still hold.
 */
export class Ambush {
  strikes = 0;
  isActive = false;
  readonly #cluster: Cluster;
  readonly #random: Random;
  /** Not in every run: what a trap holds up happens less often. */
  readonly #setsTraps: boolean;
  readonly #commits = new WeakMap<RaftGroup, { commit: number; leads: boolean }>();
  /** Where the group's leader began. */
  readonly #began = new WeakMap<RaftGroup, { readonly term: number; readonly commit: number }>();
  /** Term in which the group's leader was struck for what it had counted. */
  readonly #struck = new WeakMap<RaftGroup, number>();
  #trap: Trap | undefined;
  #notBefore = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#random = cluster.world.randomOf('ambush');
    this.#setsTraps = cluster.world.randomOf('traps').next() < 0.4;
    cluster.world.always(() => {
      if (!this.isActive) return;
      this.#lookForCounted();
      if (this.#trap !== undefined) this.#springTrap(this.#trap);
      else if (cluster.world.now >= this.#notBefore) this.#look();
    });
  }

  #look(): void {
    for (const [member, { host }] of this.#cluster.running) {
      for (const group of host.groups()) {
        const { commit, role } = group.view;
        const leads = role === 'leader';
        const before = this.#commits.get(group);
        this.#commits.set(group, { commit, leads });
        if (!leads || before === undefined) continue;
        if (before.leads && commit > before.commit && this.#setTrap(member, group)) return;
        const chance = !before.leads ? 0.4 : commit > before.commit ? this.#chanceOf(group) : 0;
        if (chance === 0 || this.#random.next() >= chance) continue;
        this.#strike(member, group.confState);
        return;
      }
    }
  }

  /**
   * The way to what {@link #lookForCounted} waits for: a leader is cut off with entries that only it has; whoever is elected
   * next is cut off in its place, at once, so that only it has the first entry of its own term.
   */
  #setTrap(member: number, { group, confState }: RaftGroup): boolean {
    const { plan, world, nodes, network } = this.#cluster;
    const { voters, votersOutgoing } = confState;
    // Small messages, so that entries of two terms do not travel together; few voters, so that it is clear who wins.
    const fits = plan.tuning.maxMessageBytes === 100 && voters.length === 3 && votersOutgoing.length === 0;
    if (!this.#setsTraps || !fits || this.#random.next() > 0.05) return false;
    this.#trap = { group, first: member, second: undefined };
    this.#cut(member, 'trap');
    world.after(trapMs, () => {
      this.#trap = undefined;
      this.#notBefore = world.now + restMs;
      network.partition([nodes.map(({ id }) => id)]);
    });
    return true;
  }

  #springTrap(trap: Trap): void {
    if (trap.second !== undefined) return;
    for (const [member, { host }] of this.#cluster.running) {
      if (member === trap.first || host.group(trap.group)?.view.role !== 'leader') continue;
      trap.second = member;
      this.#cut(member, 'trap');
    }
  }

  /** From all others, which hear each other; not at once, since this is in the middle of a check. */
  #cut(member: number, why: string): void {
    const { nodes, network, world } = this.#cluster;
    const { id } = this.#cluster.nodeOf(member);
    const rest = nodes.map((node) => node.id).filter((other) => other !== id);
    this.#cluster.note(`ambush on ${id}, ${why}`);
    world.after(0, () => network.partition([[id], rest]));
  }

  /**
   * A new leader has brought entries of an earlier term to a majority, and none of its own: they are not committed, for
   * whoever has a later term in its log can still win an election and replace them (Figure 8 of the Raft paper). It gets
   * the chance.
   */
  #lookForCounted(): void {
    const { running, network, world } = this.#cluster;
    for (const [member, { host }] of running) {
      for (const group of host.groups()) {
        const { view } = group;
        const { voters, votersOutgoing } = group.confState;
        if (view.role !== 'leader') continue;
        const began = this.#began.get(group);
        if (began?.term !== view.term) {
          this.#began.set(group, { term: view.term, commit: view.commit });
          continue;
        }
        const commitTerm = view.termAt(view.commit);
        if (votersOutgoing.length > 0 || commitTerm === view.term || this.#struck.get(group) === view.term) continue;
        const { progress } = group.status();
        const matches = voters.map((voter) => progress.find((one) => one.member === voter)?.match ?? 0);
        const counted = matches.sort((a, b) => b - a)[Math.floor(voters.length / 2)] ?? 0;
        const term = view.termAt(counted);
        if (counted <= began.commit || typeof term !== 'number' || term >= view.term) continue;
        const rival = voters.find((voter) => {
          const log = running.get(voter)?.host.group(group.group)?.view;
          const last = log?.termAt(log.lastIndex);
          return typeof last === 'number' && last > term && log?.termAt(counted) !== term;
        });
        if (rival === undefined) continue;
        this.#struck.set(group, view.term);
        this.strikes += 1;
        this.#cut(member, `for ${this.#cluster.nodeOf(rival).id}`);
        world.after(1000 + this.#random.next() * 3000, () => network.heal());
      }
    }
  }

  /** Commits are counted differently while members change. */
  #chanceOf({ confState: { votersOutgoing, learners } }: RaftGroup): number {
    return votersOutgoing.length > 0 ? 0.2 : learners.length > 0 ? 0.1 : 0.01;
  }

  /**
   * Who stays with the leader: nobody, those who must not be enough for it (learners, and one half of a joint
   * configuration), or anybody.
   */
  #companyOf(leader: number, { voters, votersOutgoing, learners }: ConfState): number[] {
    const chance = this.#random.next();
    if (chance < 0.3) return [leader];
    const others = this.#cluster.nodes.map((_, i) => i + 1).filter((member) => member !== leader);
    if (chance < 0.5) return [leader, ...others.filter(() => this.#random.next() < 0.5)];
    const half = chance < 0.75 ? voters : votersOutgoing;
    const otherHalf = chance < 0.75 ? votersOutgoing : voters;
    return [
      leader,
      ...others.filter((one) =>
        otherHalf.length === 0 || half.length === 0
          ? learners.includes(one)
          : half.includes(one) && !otherHalf.includes(one),
      ),
    ];
  }

  #strike(leader: number, confState: ConfState): void {
    const { network, nodes, world } = this.#cluster;
    const random = this.#random;
    this.strikes += 1;
    this.#notBefore = world.now + restMs + random.next() * 2000;
    this.#cluster.note(`ambush on ${this.#cluster.nodeOf(leader).id}`);
    const share = random.next();
    const company = this.#companyOf(leader, confState).map((member) => this.#cluster.nodeOf(member).id);
    // Not at once: this is in the middle of a check.
    world.after(random.next() < 0.5 ? 0 : random.next() * 5, () => {
      const rest = nodes.filter((node) => !company.includes(node.id)).map((node) => node.id);
      network.partition([company, rest]);
      world.after(300 + random.next() * 3000, () => network.heal());
      for (const node of nodes) {
        if (company.includes(node.id) || random.next() > share) continue;
        node.crash();
        world.after(1 + random.next() * 100, () => {
          if (!node.isUp) node.restart();
        });
      }
    });
  }
}
