import { oaasError } from '@oaas/commons/errors';
import type { CallOptions } from '@oaas/commons/grpc';
import type { admin } from '@oaas/proto';
import type { ShardRecord } from '../meta/index.ts';
import type { GridNode, HostedCollection, Member, MemberView } from '../node/index.ts';
import { EventualShard } from '../shard/index.ts';
import type { Caller } from './caller.ts';
import { metaOf } from './meta-of.ts';
import { localVersions, type VersionCalls } from './version-calls.ts';

/**
 * Takes calls on versions to the replica that they are about. Any complete one has all labels and branches. Still all
 * nodes mean the same one when the caller names none, so that a call finds what the one before it did, numbers of versions
 * stay what they are, and a branch is changed in one place: of those that are complete and can be reached the first in
 * the shard's record, to which new replicas are added at the end.
 */
export class VersionHolders {
  readonly #node: GridNode;
  readonly #local: VersionCalls;
  readonly #clientOf: (member: Member) => VersionCalls;

  constructor(node: GridNode, clientOf: (member: Member) => VersionCalls) {
    this.#node = node;
    this.#local = localVersions(node);
    this.#clientOf = clientOf;
  }

  /**
   * Rejects with `InvalidArgument`, `NotFound` or `FailedPrecondition` for what has no versions or no such replica, with
   * `Unavailable` while no member with a replica can be reached, and else as the call does.
   */
  async ask<T>(
    of: admin.VersionsRequest | undefined,
    { isPassedOn, onward }: Caller,
    call: (versions: VersionCalls, options?: CallOptions) => Promise<T>,
  ): Promise<T> {
    const { collection: name = '', partition = 0, node: asked = '' } = of ?? {};
    const record = this.#recordOf(name, partition);
    if (isPassedOn) return call(this.#local);
    const member = await this.#holderOf(record, asked);
    if (member.id === this.#node.self.id) return call(this.#local);
    return call(this.#clientOf(member), onward());
  }

  async #holderOf(record: ShardRecord, asked: string): Promise<Member> {
    await this.#node.reports.refresh();
    const views = new Map(this.#node.members().map((view) => [view.record.number, view]));
    const holders = record.replicas.flatMap(({ member }) => views.get(member) ?? []);
    const meant = asked === '' ? holders : holders.filter((view) => view.record.id === asked);
    const what = `partition ${String(record.partition)} of ${record.collection}`;
    if (meant.length === 0 && holders.length > 0) {
      throw oaasError('NotFound', `${asked} has no replica of ${what}`, {
        remedy: `Ask one of ${idsOf(holders).join(', ')}, or leave the node out.`,
      });
    }
    const reached = meant.filter(({ state }) => state === 'up' || state === 'draining');
    const holder = reached.find((view) => this.#isComplete(view, record)) ?? reached[0];
    if (holder !== undefined) return { id: holder.record.id, address: holder.record.address };
    throw oaasError(
      'Unavailable',
      `no member that has ${asked === '' ? 'a' : 'this'} replica of ${what} can be reached`,
      {
        remedy: 'Versions are kept by replicas: bring one of the members back.',
        details: { members: idsOf(meant) },
        retryAfterMs: 1000,
      },
    );
  }

  /** As far as is known here. One that is being filled takes no writes, and calls itself a learner. */
  #isComplete({ record, report }: MemberView, shard: ShardRecord): boolean {
    if (record.id === this.#node.self.id) {
      const handle = this.#node
        .collections()
        .find(({ spec }) => spec.name === shard.collection)
        ?.handle(shard.partition);
      return handle instanceof EventualShard && handle.isPrimary;
    }
    const shards = report?.collections.flatMap((collection) => collection.shards) ?? [];
    return shards.some(({ shardId, group }) => shardId === shard.id && group?.role === 'replica');
  }

  #recordOf(name: string, partition: number): ShardRecord {
    const collection = this.#collection(name);
    const record = metaOf(this.#node).state.shards.get(collection.shardId(partition) ?? -1);
    if (record !== undefined) return record;
    throw oaasError('InvalidArgument', `partition ${String(partition)} is out of range`, {
      remedy: `Collection ${name} has partitions 0 to ${String(collection.partitionCount - 1)}.`,
    });
  }

  #collection(name: string): HostedCollection {
    if (name === '') throw oaasError('InvalidArgument', 'of.collection is empty', { remedy: 'Give it.' });
    const collection = this.#node.collections().find(({ spec }) => spec.name === name);
    if (collection === undefined) throw oaasError('NotFound', `there is no collection "${name}"`);
    if (collection.spec.shardType === 'mst') return collection;
    throw oaasError('FailedPrecondition', `collection ${name} keeps no versions`, {
      remedy: 'Only collections of type mst do.',
    });
  }
}

function idsOf(views: readonly MemberView[]): string[] {
  return views.map(({ record }) => record.id);
}
