import { isFinished, metaShard } from '@oaas/odgm/meta';
import type { RaftShard } from '@oaas/odgm/shard';
import { FaultDriver, type SimNode } from '@oaas/odgm/testkit/sim';
import { Clients } from '../clients.ts';
import { Observer } from '../observer.ts';
import { type Played, PlayFailure, type PlayOptions } from '../run.ts';
import { GridAsker } from './asker.ts';
import { shardsOf, SimGrid, usedCollection } from './grid.ts';
import { Guard } from './guard.ts';
import { Killer } from './killer.ts';
import { MergingClients } from './merging-clients.ts';
import { GridOperator } from './operator.ts';
import { hasQuorums, isReady } from './quorums.ts';
import { Wiper } from './wiper.ts';

/** Beside what all runs tell: `memberChanges` are acts of the operator, `ambushes` the times that several nodes were killed at once. */
export interface GridPlayed extends Played {
  /** Replicas that nodes removed for good. */
  readonly removals: number;
  /** Disks that were lost. */
  readonly wipes: number;
  /** Nodes that were not healed before progress was demanded. */
  readonly leftOut: number;
}

/** The grid must be formed within this, without faults. */
const formMs = 60_000;
/** When the faults are to end, nodes that are not ready within this are healed in any case. */
const gatherMs = 3000;
/** A healed quorum must answer every key within this. */
const progressMs = 60_000;
/** And be at rest, with every task at its end, within this. */
const restMs = 600_000;
/** How often it is looked whether it is. */
const restLookMs = 50;

/**
 * Plays one seed with whole nodes: they form a grid, then faults, then a healed quorum of each group that must go on, and
 * a healed grid that must come to rest.
 */
export async function play(options: PlayOptions): Promise<GridPlayed> {
  const grid = new SimGrid(options.seed, options.nodes ?? 5, options.onTrace);
  try {
    return await playOn(grid);
  } catch (error) {
    throw new PlayFailure(grid.world, error);
  }
}

async function playOn(grid: SimGrid): Promise<GridPlayed> {
  const { world, network, nodes, disks, plan } = grid;
  const observer = new Observer(grid);
  const guard = new Guard(grid);
  const clients = new Clients(new GridAsker(grid));
  const merging = new MergingClients(grid);
  const operator = new GridOperator(grid);
  const killer = new Killer(grid, guard);
  const wiper = new Wiper(grid);
  if (!plan.startsFaulty && !(await world.until(() => isReady(grid), formMs))) {
    throw new Error(`no grid within ${formMs} ms`);
  }
  const actions = [
    { everyMs: plan.killAllMs, run: () => killer.kill(nodes) },
    { everyMs: plan.operatorMs, run: operator.act.bind(operator) },
    { everyMs: plan.wipeMs, run: wiper.wipe.bind(wiper) },
  ];
  const driver = new FaultDriver({ world, network, nodes, disks, swarm: plan.swarm, actions });
  clients.start();
  merging.start();
  driver.start();
  killer.isActive = true;
  await world.run(plan.faultyMs);
  killer.isActive = false;
  await clients.stop();
  await merging.stop();
  const core = await chooseCore(grid, driver);
  driver.healCore(core);
  await clients.demandProgress(progressMs).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : String(error)}: ${unrest(grid) ?? ''}`, {
      cause: error,
    });
  });
  const doubtful = clients.judge();
  driver.healCore(nodes);
  await demandRest(grid, operator, merging);
  merging.judge(wiper.wipes === 0);
  observer.audit();
  const [untold] = grid.listener.untold(leadersOf(grid));
  if (untold !== undefined) throw new Error(`a trigger was not told: ${untold}`);
  return {
    hash: world.trace.hash(),
    virtualMs: world.now,
    operations: clients.done + merging.done,
    memberChanges: operator.acts,
    crashes: driver.counts.crashes + killer.crashes,
    ambushes: killer.strikes,
    compared: observer.compared,
    doubtful,
    removals: guard.removals,
    wipes: wiper.wipes,
    leftOut: nodes.length - core.length,
  };
}

/** All nodes, or all but some that no group's quorum needs. */
async function chooseCore(grid: SimGrid, driver: FaultDriver): Promise<readonly SimNode[]> {
  const { nodes, world, running } = grid;
  const core = driver.chooseCore(nodes.length - 1 - Math.floor(world.random.next() * 2));
  for (const node of nodes) {
    if (node.isPaused) node.resume();
    if (!node.isUp) node.restart();
  }
  if (!(await world.until(() => isReady(grid), gatherMs))) return nodes;
  const members = new Set(core.map(({ id }) => running.get(id)?.node.number ?? 0));
  return hasQuorums(grid, (member) => members.has(member)) ? core : nodes;
}

/** Every task is at its end, and every replica that is wanted is there, serves, and has what the others have. */
async function demandRest(grid: SimGrid, operator: GridOperator, merging: MergingClients): Promise<void> {
  const { world, running } = grid;
  let isTidying = false;
  const tidy = (): void => {
    if (isTidying) return;
    const leader = [...running.values()].find(({ node }) => node.meta?.isLeader === true);
    if (leader === undefined) return;
    isTidying = true;
    void operator.tidy(leader.node).finally(() => {
      isTidying = false;
    });
  };
  const whyNot = (): string | undefined => unrest(grid) ?? merging.unrest();
  let tidyAt = 0;
  let lookAt = 0;
  const isAtRest = (): boolean => {
    // After each step it would cost more than all that happens in the steps.
    if (world.now < lookAt) return false;
    lookAt = world.now + restLookMs;
    if (world.now >= tidyAt) {
      tidyAt = world.now + 1000;
      tidy();
    }
    return whyNot() === undefined;
  };
  if (await world.until(isAtRest, restMs)) return;
  throw new Error(`the healed grid is not at rest within ${restMs} ms: ${whyNot() ?? ''}`);
}

function leadersOf({ running }: SimGrid): RaftShard[] {
  return [...running.values()].flatMap(({ node }) => shardsOf(node).filter(({ isPrimary }) => isPrimary));
}

function unrest(grid: SimGrid): string | undefined {
  if (!isReady(grid)) return 'a node is not ready';
  const leader = [...grid.running.values()].find(({ node }) => node.meta?.isLeader === true)?.node;
  const state = leader?.meta?.state;
  if (state === undefined) return 'the meta group has no leader';
  const task = [...state.tasks.values()].find((one) => !isFinished(one));
  if (task !== undefined) {
    const moves = task.moves
      .filter(({ state: at }) => at === 'running')
      .map(
        ({ shard, kind, from, to, step }) =>
          `${kind} ${from ?? ''}>${to ?? ''} ${step ?? ''} of ${tellShard(grid, shard)}`,
      );
    return `task ${task.id} (${task.kind}) is ${task.state}: ${moves.join('; ')}`;
  }
  const byNumber = new Map([...grid.running.values()].map(({ node }) => [node.number, node]));
  for (const shard of state.shards.values()) {
    if (shard.id === metaShard) continue;
    const name = `shard ${shard.id} of ${shard.collection}`;
    if (shard.change !== undefined) return `${name} has a change under way`;
    if (shard.replicas.length === 0) return `${name} has no place`;
    const applied = new Set<number | undefined>();
    for (const { member, epoch } of shard.replicas) {
      const collection = byNumber
        .get(member)
        ?.collections()
        .find(({ spec }) => spec.name === shard.collection);
      const handle = collection?.handle(shard.partition);
      if (handle?.id !== shard.id) return `${name}: member ${member} does not serve its replica of epoch ${epoch}`;
      const { role, problem } = handle.status();
      if (problem !== undefined) return `${name}: member ${member} (${role}): ${problem}`;
      applied.add(handle.status().applied);
    }
    const waiting = leadersOf(grid).find(({ id, outbox }) => id === shard.id && outbox.counts.events > 0);
    if (waiting !== undefined) return `${name}: ${waiting.outbox.counts.events} events wait`;
    if (applied.size > 1) return `${name}: replicas are at ${[...applied].join()}`;
  }
  if (!state.collections.has(usedCollection)) return 'the collection is gone';
  return undefined;
}

/** The shard as it is recorded, and as its replicas see it. */
function tellShard({ running }: SimGrid, id: number): string {
  const nodes = [...running.values()].map(({ node }) => node);
  const record = nodes.find(({ meta }) => meta?.isLeader === true)?.meta?.state.shards.get(id);
  const recorded = record?.replicas.map(({ member, role, epoch }) => `${member} ${role} of epoch ${epoch}`).join(', ');
  const seen = nodes.flatMap((node) =>
    shardsOf(node)
      .filter((shard) => shard.id === id)
      .map(({ group }) => {
        const { role, term, lastIndex, commit, confState } = group.status();
        return `${node.number}: ${role} of epoch ${group.epoch}, term ${term}, ${commit}/${lastIndex}, voters ${confState.voters.join()}`;
      }),
  );
  return `shard ${id}, recorded as ${recorded ?? ''}, seen by ${seen.join(' | ')}`;
}
