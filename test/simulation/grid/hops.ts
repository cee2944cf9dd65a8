import type { ShardHandle } from '@oaas/odgm/shard';
import { callMs } from '../clients.ts';
import type { SimGrid } from './grid.ts';

/** Times that a client goes where it is sent. */
const hopsMax = 3;
/** Longest time that one of them asks. */
export const goingMs = hopsMax * callMs;

/**
 * Asks a node for the replica of a partition that serves, and goes where it is sent. `ask` does what is wanted with that
 * replica; undefined: it is not the one, ask again. Undefined when it was sent on too often. Rejects as calls do.
 */
export async function goTo<Answer>(
  grid: SimGrid,
  first: string,
  { collection, partition }: { readonly collection: string; readonly partition: number },
  ask: (shard: ShardHandle, at: string) => Promise<Answer | undefined>,
): Promise<{ readonly answer: Answer; readonly by: string } | undefined> {
  let to = first;
  for (let hops = 0; hops < hopsMax; hops += 1) {
    const at = to;
    const heard = await grid.call(undefined, at, callMs, async (node) => {
      const located = node.locate(node.collection(collection), partition);
      return located.kind === 'remote' ? located.member.id : { answer: await ask(located.shard, at) };
    });
    if (typeof heard === 'string') to = heard;
    else if (heard.answer !== undefined) return { answer: heard.answer, by: at };
  }
  return undefined;
}
