import { metaShard } from '@oaas/odgm/meta';
import type { SimGrid } from './grid.ts';

/** Whether a majority of each group's voters are among the members for which `isIn` holds, whoever of them is asked. */
export function hasQuorums(grid: SimGrid, isIn: (member: number) => boolean): boolean {
  const isEnough = (voters: readonly number[]): boolean =>
    voters.length === 0 || voters.filter(isIn).length * 2 > voters.length;
  for (const { group } of grid.replicas(undefined)) {
    const { voters, votersOutgoing } = group.confState;
    if (!isEnough(voters) || !isEnough(votersOutgoing)) return false;
    // A change that is not applied yet may make another quorum of it.
    const open = group.view.entriesFrom(group.applied + 1);
    if (open === 'compacted' || open.some(({ type }) => type !== 0)) return false;
  }
  // Of a new shard no replica need be there yet. One without a place may get its only one where the next moment nobody is.
  for (const { node } of grid.running.values()) {
    // A replica that is to be made anew may lose its vote by a change that is on its way to the leader.
    const renewed = new Set<string>();
    for (const { moves } of node.meta?.state.tasks.values() ?? []) {
      for (const { shard, from, to, state } of moves) {
        const isOpen = state === 'pending' || state === 'running';
        if (isOpen && from !== undefined && from === to) renewed.add(`${shard}/${from}`);
      }
    }
    for (const { id, replicas } of node.meta?.state.shards.values() ?? []) {
      const voters = replicas.filter(({ role }) => role === 'voter').map(({ member }) => member);
      if (!isEnough(voters.filter((member) => !renewed.has(`${id}/${member}`)))) return false;
      if (id !== metaShard && (voters.length === 0 || !isEnough(voters))) return false;
    }
  }
  return true;
}

/** All nodes run, so that all that is known of quorums is known here. */
export function isReady({ running, nodes }: SimGrid): boolean {
  return running.size === nodes.length && [...running.values()].every(({ node }) => node.isReady);
}
