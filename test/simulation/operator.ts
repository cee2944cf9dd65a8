import { toOaasError } from '@oaas/commons/errors';
import { type Random, sleep } from '@oaas/commons/time';
import type { MemberChange } from '@oaas/odgm/replication';
import { silence } from './clients.ts';
import type { Cluster } from './cluster.ts';

const timeoutMs = 8000;
/** A learner this close to the leader may be promoted. */
const lagMax = 64;

/**
 * Changes the members of shards while faults happen: adds, promotes, demotes, removes and replaces replicas, and moves
 * leaderships, one act at a time. It looks at a confirmed leader before each act and takes no outcome for granted.
 */
export class Operator {
  /** Changes that were confirmed. */
  changes = 0;
  /** It does not wait for what it asked for before, and members crash in the middle of it. */
  readonly hurries: boolean;
  readonly #cluster: Cluster;
  /** Epoch of each member's last replica, by shard. */
  readonly #epochs = new Map<string, number>();
  #isBusy = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.hurries = cluster.world.randomOf('operator').next() < 0.3;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Does something, unless it is still about something else. */
  act(random: Random): void {
    this.#run(() => {
      const { shards } = this.#cluster;
      const shard = shards[Math.floor(random.next() * shards.length)] ?? 1;
      return this.#act(shard, random);
    });
  }

  #run(work: () => Promise<void>): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    work()
      .catch((thrown: unknown) => {
        this.#failed(thrown);
      })
      .finally(() => {
        this.#isBusy = false;
      });
  }

  async #act(shard: number, random: Random): Promise<void> {
    const leader = this.#cluster.leaderOf(shard);
    if (leader === undefined) return;
    const { member } = leader;
    const seen = await this.#cluster.ask(member, timeoutMs, async (node) => {
      const group = node.shards.get(shard)?.group;
      await group?.linearize();
      return group?.status();
    });
    if (seen === silence || seen === undefined || seen.role !== 'leader') return;
    const { voters, learners, votersOutgoing, autoLeave } = seen.confState;
    if (votersOutgoing.length > 0) {
      if (!autoLeave) await this.#leaveJoint(member, shard);
      return;
    }
    const pick = <T>(values: readonly T[]): T | undefined => values[Math.floor(random.next() * values.length)];
    const members = this.#cluster.nodes.map((_, i) => i + 1);
    const absent = pick(members.filter((one) => !voters.includes(one) && !learners.includes(one)));
    const ready = seen.progress.filter(
      ({ role, lag, state }) => role === 'learner' && lag < lagMax && state === 'replicate',
    );
    const learner = this.#cluster.plan.keepsLearners ? undefined : pick(ready)?.member;
    const other = pick(voters.filter((one) => one !== member));
    const isJoint = random.next() < 0.5;
    const chance = random.next();
    if (this.hurries && voters.length > 3 && random.next() < 0.6) {
      // In a hurry: the second change does not wait for the first one, which one of them must not survive.
      const removals = voters.filter((one) => one !== member).slice(0, 2);
      await Promise.allSettled(
        removals.map((gone) => this.#change(member, shard, [{ type: 'remove', member: gone }], false)),
      );
      return;
    }
    if (chance < 0.15) {
      if (other !== undefined) await this.#transfer(member, shard, other);
    } else if (chance < 0.45 && absent !== undefined) {
      if (this.hurries && random.next() < 0.25) this.#crashSoon(absent, random);
      await this.#add(member, shard, absent);
    } else if (chance < 0.7 && learner !== undefined) {
      const promote: MemberChange = { type: 'voter', member: learner, epoch: this.#epochOf(shard, learner) };
      const leaves = voters.length >= 3 && isJoint ? pick(voters) : undefined;
      const changes: MemberChange[] = leaves === undefined ? [promote] : [promote, { type: 'remove', member: leaves }];
      await this.#change(member, shard, changes, random.next() < 0.3 && leaves !== undefined);
    } else if (chance < 0.9 && voters.length > 3) {
      const leaves = pick(voters);
      if (leaves === undefined) return;
      await this.#change(member, shard, [{ type: random.next() < 0.7 ? 'remove' : 'learner', member: leaves }], false);
    } else {
      const gone = pick(learners);
      if (gone !== undefined) await this.#change(member, shard, [{ type: 'remove', member: gone }], false);
    }
  }

  /** Makes the replica of a learner anew: what it has goes at once. Unless it is still about something else. */
  renew(member: number, shard: number): void {
    this.#run(() => this.#renew(member, shard));
  }

  /** Takes a voter out, and makes it anew once it is out. Unless it is still about something else. */
  takeOutAndBack(member: number, shard: number): void {
    this.#run(async () => {
      const leader = this.#cluster.leaderOf(shard)?.member;
      if (leader === undefined || leader === member) return;
      const isOut = await this.#change(leader, shard, [{ type: 'remove', member }], false);
      if (isOut) await this.#add(leader, shard, member);
    });
  }

  async #renew(member: number, shard: number): Promise<void> {
    const node = this.#cluster.running.get(member);
    this.#cluster.note(`operator: the replica of group ${shard} at ${member} goes`);
    node?.shards.delete(shard);
    // A crash swallows the answer.
    await Promise.race([node?.host.remove(shard), sleep(this.#cluster.timers, timeoutMs)]);
    const leader = this.#cluster.leaderOf(shard)?.member;
    if (leader === undefined) return;
    await this.#change(leader, shard, [{ type: 'remove', member }], false);
    await this.#add(leader, shard, member);
  }

  #failed(thrown: unknown): void {
    const error = toOaasError(thrown);
    if (error.code === 'Internal' || error.code === 'StorageCorrupt') this.#cluster.world.fail(error);
    this.#cluster.note(`operator: ${error.message}`);
  }

  /** In the middle of what is asked of it. */
  #crashSoon(member: number, random: Random): void {
    const { world } = this.#cluster;
    const node = this.#cluster.nodeOf(member);
    world.after(random.next() * 150, () => node.crash());
    world.after(200 + random.next() * 500, () => {
      if (!node.isUp) node.restart();
    });
  }

  #epochOf(shard: number, member: number): number {
    return this.#epochs.get(`${String(shard)}/${String(member)}`) ?? 1;
  }

  /** A replica anew on a member that has none in the group, as a learner. */
  async #add(leader: number, shard: number, member: number): Promise<void> {
    const epoch = this.#epochOf(shard, member) + 1;
    this.#epochs.set(`${String(shard)}/${String(member)}`, epoch);
    const made = await this.#cluster.ask(member, timeoutMs, async (node) => {
      node.shards.delete(shard);
      await node.host.remove(shard);
      await this.#cluster.openReplica(node, shard, epoch, []);
    });
    if (made === silence) return;
    await this.#change(leader, shard, [{ type: 'learner', member, epoch }], false);
  }

  /** Whether it is known to be done. */
  async #change(leader: number, shard: number, changes: readonly MemberChange[], stay: boolean): Promise<boolean> {
    this.#cluster.note(`operator: group ${shard} ${JSON.stringify(changes)}${stay ? ' stay' : ''}`);
    const done = await this.#cluster.ask(leader, timeoutMs, (node) =>
      node.shards.get(shard)?.group.changeMembers(changes, new Uint8Array(0), stay),
    );
    if (done === silence || done === undefined) return false;
    this.changes += 1;
    if (stay) await this.#leaveJoint(leader, shard);
    return true;
  }

  async #leaveJoint(leader: number, shard: number): Promise<void> {
    await this.#cluster.ask(leader, timeoutMs, (node) => node.shards.get(shard)?.group.leaveJoint());
  }

  async #transfer(leader: number, shard: number, to: number): Promise<void> {
    await this.#cluster.ask(leader, timeoutMs, (node) => node.shards.get(shard)?.group.transferLeadership(to));
  }
}
