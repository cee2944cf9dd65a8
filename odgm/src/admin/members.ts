import { oaasError } from '@oaas/commons/errors';
import { isFinished, type MemberRecord, type MetaGroup, metaShard, shardsOfMember } from '../meta/index.ts';
import type { GridNode } from '../node/index.ts';
import { metaOf } from './meta-of.ts';

/** Members, as administrators take them away and back. Any node answers. */
export class Members {
  readonly #node: GridNode;

  constructor(node: GridNode) {
    this.#node = node;
  }

  /**
   * Takes a member off the list that is down and holds nothing, as one that was drained and stopped. Its vote in the meta
   * group goes with it. It comes back as a new member only, with an empty data directory. Throws `NotFound`,
   * `FailedPrecondition` while it is up or holds replicas.
   */
  async remove(id: string): Promise<{ readonly id: string; readonly removed: true }> {
    const meta = metaOf(this.#node);
    await meta.catchUp();
    const record = named(meta, id);
    if (record.state !== 'down') {
      throw oaasError('FailedPrecondition', `member ${id} is ${record.state}`, {
        remedy: `Drain it (POST /admin/members/${id}/drain), stop it when it holds no replicas, and remove it when it is down.`,
      });
    }
    const held = shardsOfMember(meta.state, record.number).filter((shard) => shard.id !== metaShard);
    if (held.length > 0) {
      const names = held.slice(0, 10).map(({ collection, partition }) => `${collection}/${String(partition)}`);
      throw oaasError('FailedPrecondition', `member ${id} holds ${String(held.length)} replicas`, {
        remedy: 'Start it and drain it, or wait until its replicas are made anew on other members.',
        details: { replicas: names },
      });
    }
    await meta.propose({ type: 'removeMember', member: record.number });
    await meta.catchUp();
    return { id, removed: true };
  }

  /**
   * Takes a drain back, done or not: the member serves again. Throws `NotFound`, `FailedPrecondition` for one that is not
   * drained, or is down.
   */
  async recommission(id: string, actor: string): Promise<{ readonly id: string; readonly state: string }> {
    const meta = metaOf(this.#node);
    await meta.catchUp();
    const { number, state } = named(meta, id);
    if (state !== 'draining') {
      throw oaasError('FailedPrecondition', `member ${id} is ${state}, not draining`, {
        remedy: state === 'down' ? 'Start it first.' : 'There is nothing to take back.',
      });
    }
    const drain = [...meta.state.tasks.values()].find(
      (task) => task.kind === 'drain' && task.member === number && !isFinished(task),
    );
    if (drain !== undefined) await meta.propose({ type: 'cancelTask', task: drain.id, actor });
    await meta.propose({ type: 'setMemberState', member: number, state: 'up' });
    await meta.catchUp();
    return { id, state: meta.state.members.get(number)?.state ?? 'up' };
  }
}

function named(meta: MetaGroup, id: string): MemberRecord {
  const found = [...meta.state.members.values()].find((one) => one.id === id && one.replacedBy === undefined);
  if (found === undefined)
    throw oaasError('NotFound', `there is no member "${id}"`, { remedy: 'See GET /admin/cluster/members.' });
  return found;
}
