import { type ErrorCode, type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import type { PendingMove, PlacementMember, PlacementOptions, PlacementSnapshot } from '../placement/index.ts';
import type { IsGone } from './absences.ts';
import type { Refusal, RefusalCode } from './commands.ts';
import { metaShard } from './state.ts';
import type { MemberRecord, MetaState, ShardRecord, TaskRecord } from './types.ts';

/** What replicas report of a shard; the meta state does not have it. */
export interface ShardLoad {
  readonly leader?: number | undefined;
  readonly bytes: number;
  readonly ops: number;
}

/** Shards of which the member holds a replica, voter or learner. */
export function shardsOfMember(state: MetaState, member: number): ShardRecord[] {
  return [...state.shards.values()].filter(({ replicas }) => replicas.some((replica) => replica.member === member));
}

/** Holders of each partition of a collection, the preferred leader first; undefined when there is no such collection. */
export function ownersOf(state: MetaState, collection: string): (readonly MemberRecord[])[] | undefined {
  return state.collections.get(collection)?.shards.map((id) => replicasOf(state, id));
}

/** Members that hold the shard with a vote, the preferred leader first. */
export function replicasOf(state: MetaState, shard: number): MemberRecord[] {
  const record = state.shards.get(shard);
  const members = (record?.replicas ?? [])
    .filter(({ role }) => role === 'voter')
    .flatMap(({ member }) => state.members.get(member) ?? []);
  const first = members.findIndex(({ number }) => number === record?.preferredLeader);
  return first > 0 ? [...members.splice(first, 1), ...members] : members;
}

/** The newest check of all shards, by its number: times of different leaders cannot be compared. */
export function lastFullCheck(state: MetaState): TaskRecord | undefined {
  return [...state.tasks.values()].findLast(
    ({ kind, collection }) => kind === 'consistency-check' && collection === '',
  );
}

/** How the planner sees a member: one that is down for less than the bound is only away. */
function placementState(member: MemberRecord, isGone: IsGone): PlacementMember['state'] {
  if (member.state !== 'down') return member.state;
  return isGone(member) ? 'down' : 'away';
}

/**
 * Bytes that a member may take in beside what it holds, the shard that is being moved apart; undefined: no bound. What
 * comes to it by other moves counts as if it were there.
 */
export function freeBytesOf(
  state: MetaState,
  { number, capacityBytes }: MemberRecord,
  loads: ReadonlyMap<number, ShardLoad>,
  moving: number,
): number | undefined {
  if (capacityBytes === undefined) return undefined;
  const others = shardsOfMember(state, number).filter(({ id }) => id !== moving);
  return capacityBytes - others.reduce((sum, { id }) => sum + (loads.get(id)?.bytes ?? 0), 0);
}

/** What the planner needs. Shards without a load count as empty. */
export function placementSnapshot(
  state: MetaState,
  loads: ReadonlyMap<number, ShardLoad>,
  options: PlacementOptions,
  isGone: IsGone,
): PlacementSnapshot {
  return {
    members: [...state.members.values()].map((member) => ({
      number: member.number,
      id: member.id,
      zone: member.zone,
      state: placementState(member, isGone),
      capacityBytes: member.capacityBytes,
    })),
    // The meta group itself is kept by its leader, not by plans.
    shards: [...state.shards.values()]
      .filter(({ id }) => id !== metaShard)
      .map((shard) => {
        const load = loads.get(shard.id);
        return {
          id: shard.id,
          collection: shard.collection,
          partition: shard.partition,
          wantedReplicas: shard.wanted,
          replicas: shard.replicas,
          leader: load?.leader ?? (shard.type === 'basic' ? shard.preferredLeader : undefined),
          leaderless: shard.merges,
          needsQuorum: !shard.merges,
          bytes: load?.bytes ?? 0,
          ops: load?.ops ?? 0,
        };
      }),
    pending: [...state.shards.values()].flatMap((shard) => pendingOf(state, shard)),
    options,
  };
}

function pendingOf(state: MetaState, shard: ShardRecord): PendingMove[] {
  const { change } = shard;
  const move = change === undefined ? undefined : state.tasks.get(change.task)?.moves[change.move];
  if (move === undefined) return [];
  return [move.kind === 'replica' ? { shard: shard.id, from: move.from, to: move.to } : { shard: shard.id }];
}

const errorCodes: Readonly<Record<RefusalCode, ErrorCode>> = {
  NotBootstrapped: 'Unavailable',
  AlreadyBootstrapped: 'AlreadyExists',
  OtherCluster: 'FailedPrecondition',
  UnsupportedCommand: 'FailedPrecondition',
  MemberUnknown: 'NotFound',
  MemberReplaced: 'FailedPrecondition',
  MemberChanged: 'Conflict',
  MemberHoldsReplicas: 'FailedPrecondition',
  MemberUp: 'FailedPrecondition',
  CollectionUnknown: 'NotFound',
  NameTaken: 'AlreadyExists',
  CollectionDeleted: 'FailedPrecondition',
  Immutable: 'FailedPrecondition',
  ShardUnknown: 'NotFound',
  ShardBusy: 'Conflict',
  EpochConflict: 'Conflict',
  AlreadyPlaced: 'Conflict',
  TaskUnknown: 'NotFound',
  TaskState: 'FailedPrecondition',
  StaleCoordinator: 'Conflict',
  PlanStale: 'Conflict',
  TaskExists: 'AlreadyExists',
  TooMany: 'ResourceExhausted',
  Invalid: 'InvalidArgument',
};

/** How a collection that was deleted comes back. */
export const makeAnew = 'Make it anew, empty: PUT /admin/collections/<name>.';

const remedies: Readonly<Partial<Record<RefusalCode, string>>> = {
  CollectionDeleted: makeAnew,
  UnsupportedCommand: 'Run the same version on all members; those that are down for good are to be replaced.',
};

/** The refusal of which an error was made by {@link refusalError}, here or on another member; undefined for other errors. */
export function refusalCodeOf(thrown: unknown): RefusalCode | undefined {
  const code = toOaasError(thrown).details?.['code'];
  return typeof code === 'string' && Object.hasOwn(errorCodes, code) ? (code as RefusalCode) : undefined;
}

/** A refusal as the error that a caller of the admin API gets. */
export function refusalError({ code, message, epoch }: Refusal): OaasError {
  const remedy = remedies[code];
  return oaasError(errorCodes[code], message, {
    ...(remedy === undefined ? {} : { remedy }),
    details: epoch === undefined ? { code } : { code, epoch },
  });
}
