import type { Random } from '@oaas/commons/time';
import { FaultDriver, type SimNode } from '@oaas/odgm/testkit/sim';
import { Ambush } from './ambush.ts';
import { Asker } from './asker.ts';
import { Clients } from './clients.ts';
import { Cluster } from './cluster.ts';
import { ChangeAmbush } from './change-ambush.ts';
import { LinkBreaker } from './link-breaker.ts';
import { Observer } from './observer.ts';
import { Operator } from './operator.ts';
import { Renewer } from './renewer.ts';
import { type Played, PlayFailure, type PlayOptions } from './run.ts';
import { ReturnAmbush } from './return-ambush.ts';
import { demandNoStrays } from './strays.ts';

const epochs = 2;
/** A healed quorum must answer every key within this. */
const progressMs = 60_000;

/** Plays one seed: faults, then a healed quorum that must make progress, and again. Throws {@link PlayFailure}. */
export async function play(options: PlayOptions): Promise<Played> {
  const cluster = new Cluster(options.seed, options.nodes ?? 5, options.onTrace);
  try {
    return await playOn(cluster);
  } catch (error) {
    throw new PlayFailure(cluster.world, error);
  }
}

async function playOn(cluster: Cluster): Promise<Played> {
  const { world, network, nodes, disks, plan } = cluster;
  const observer = new Observer(cluster);
  const clients = new Clients(new Asker(cluster));
  const operator = new Operator(cluster);
  const ambush = new Ambush(cluster);
  const changeAmbush = new ChangeAmbush(cluster, operator.hurries);
  const returnAmbush = new ReturnAmbush(cluster, operator, !changeAmbush.isOn);
  const renewer = new Renewer(cluster, operator);
  const linkBreaker = new LinkBreaker(cluster);
  const ambushers = [ambush, changeAmbush, returnAmbush, renewer, linkBreaker];
  let crashes = 0;
  let doubtful = 0;
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    const acts = [
      { everyMs: plan.memberChangeMs, run: operator.act.bind(operator) },
      { everyMs: plan.huntMs, run: (random: Random) => hunt(cluster, random) },
    ];
    const driver = new FaultDriver({ world, network, nodes, disks, swarm: plan.swarm, actions: acts });
    clients.start();
    driver.start();
    ambush.isActive = plan.ambushes;
    changeAmbush.isActive = true;
    returnAmbush.isActive = true;
    renewer.isActive = true;
    linkBreaker.isActive = true;
    await world.run(plan.faultyMs);
    for (const one of ambushers) one.isActive = false;
    await clients.stop();
    crashes += driver.counts.crashes;
    driver.healCore(chooseCore(cluster, driver, operator));
    await clients.demandProgress(progressMs);
    doubtful = clients.judge();
    driver.healCore(nodes);
    await demandAgreement(cluster);
    await demandNoStrays(cluster);
    observer.audit();
  }
  return {
    hash: world.trace.hash(),
    virtualMs: world.now,
    operations: clients.done,
    memberChanges: operator.changes,
    crashes,
    ambushes: ambushers.reduce((sum, { strikes }) => sum + strikes, 0),
    compared: observer.compared,
    doubtful,
  };
}

/**
 * Attacks whoever leads: most of what can go wrong does so when leadership moves with writes under way. What is cut heals
 * with the next partition of the swarm, or a while later.
 */
function hunt(cluster: Cluster, random: Random): void {
  const { shards, network, nodes, world } = cluster;
  const leader = cluster.leaderOf(shards[Math.floor(random.next() * shards.length)] ?? 1);
  if (leader === undefined) return;
  const node = cluster.nodeOf(leader.member);
  const forMs = 50 + random.next() * 3000;
  const chance = random.next();
  if (chance < 0.3) {
    node.crash();
    world.after(forMs / 4, () => {
      if (!node.isUp) node.restart();
    });
  } else if (chance < 0.4) {
    node.pause();
    world.after(forMs, () => node.resume());
  } else {
    // Alone, with one other, or deaf: it goes on leading nobody for a while.
    const friend = nodes[Math.floor(random.next() * nodes.length)] ?? node;
    const pair = chance < 0.6 ? [node.id] : [...new Set([node.id, friend.id])];
    if (chance > 0.9) network.isolate(node.id, 'hears');
    else network.partition([pair, nodes.map(({ id }) => id).filter((id) => !pair.includes(id))]);
    world.after(forMs, () => network.heal());
  }
}

/** All nodes, or all but some that no group's quorum can need. */
function chooseCore(cluster: Cluster, driver: FaultDriver, operator: Operator): readonly SimNode[] {
  const { nodes, world, shards, running } = cluster;
  const core = driver.chooseCore(nodes.length - 1 - Math.floor(world.random.next() * 2));
  const ids = new Set(core.map(({ id }) => id));
  const isIn = (member: number): boolean => ids.has(cluster.nodeOf(member).id);
  const isEnough = (voters: readonly number[]): boolean =>
    voters.length === 0 || voters.filter(isIn).length * 2 > voters.length;
  // A change of members that is asked for, or not applied yet, may make another quorum of it.
  if (running.size < nodes.length || operator.isBusy) return nodes;
  for (const shard of shards) {
    for (const { host } of running.values()) {
      const group = host.group(shard);
      if (group === undefined) continue;
      const { voters, votersOutgoing } = group.confState;
      const open = group.view.entriesFrom(group.applied + 1);
      if (open === 'compacted' || open.some(({ type }) => type !== 0)) return nodes;
      if (!isEnough(voters) || !isEnough(votersOutgoing)) return nodes;
    }
  }
  return core;
}

/** With all nodes healed, all members of each group get to the same position. */
async function demandAgreement(cluster: Cluster): Promise<void> {
  const { world, shards } = cluster;
  const disagreement = (): string | undefined => {
    for (const shard of shards) {
      const leader = cluster.leaderOf(shard)?.shard.group;
      if (leader === undefined) return `group ${String(shard)} has no leader`;
      const { voters, learners } = leader.confState;
      for (const member of [...voters, ...learners]) {
        const group = cluster.running.get(member)?.host.group(shard);
        // A learner that the operator did not get to make has nothing to catch up with.
        if (group === undefined && !voters.includes(member)) continue;
        if (group !== undefined && learners.includes(member) && group.applied === 0) continue;
        if (group?.applied === leader.applied && leader.applied === leader.view.lastIndex) continue;
        return `group ${String(shard)}: member ${String(member)} is at ${String(group?.applied)}, the leader at ${String(leader.applied)} of ${String(leader.view.lastIndex)}`;
      }
    }
    return undefined;
  };
  if (await world.until(() => disagreement() === undefined, progressMs)) return;
  throw new Error(`no agreement within ${String(progressMs)} ms of a healed cluster: ${disagreement() ?? ''}`);
}
