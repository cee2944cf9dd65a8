import { garbageKey, statePrefix } from '@oaas/odgm/replication';
import type { Cluster } from './cluster.ts';

const generationAt = 6;
/** An installation that is on its way to the disk has its marks by then. */
const withinMs = 5000;

/**
 * Rejects when storage holds states that nobody will ever use or delete: of a generation that is neither that of the
 * replica nor marked as garbage. The next replica of the member may come to lie in it.
 */
export async function demandNoStrays(cluster: Cluster): Promise<void> {
  if (await cluster.world.until(() => strayOf(cluster) === undefined, withinMs)) return;
  throw new Error(strayOf(cluster));
}

function strayOf(cluster: Cluster): string | undefined {
  for (const [member, { engine, host }] of cluster.running) {
    for (const shard of cluster.shards) {
      const range = { start: statePrefix(shard, 0), end: statePrefix(shard + 1, 0) };
      const generations = new Set<number>();
      for (const { key } of engine.range(range)) generations.add(Buffer.from(key).readUInt32BE(generationAt));
      for (const generation of generations) {
        if (host.group(shard)?.generation === generation) continue;
        if (engine.get(garbageKey(shard, generation)) !== undefined) continue;
        return `${cluster.nodeOf(member).id} holds state ${String(generation)} of group ${String(shard)}, which nobody owns`;
      }
    }
  }
  return undefined;
}
