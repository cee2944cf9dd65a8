import type {
  Alarm,
  CheckRecord,
  CollectionSpec,
  Finding,
  MemberState,
  Settings,
  ShardReplicaRecord,
  StopReason,
  TaskKind,
  TaskMove,
  Throttle,
} from './types.ts';

/** Version of the commands of this build. A new kind of command, or a new field that apply heeds, raises it. */
export const commandVersion = 6;

/** From this agreed version on a drain is remembered while its member is down. */
export const remembersDrains = 3;

/** From this agreed version on a member is removed when it is down, with its vote in the meta group. */
export const removesVoters = 3;

/** From this agreed version on the settings say how often the grid checks itself. */
export const schedulesChecks = 4;

/** From this agreed version on logs of shards have changes that set off triggers, and what became of these. */
export const firesTriggers = 5;

/** From this agreed version on a new member names the one that it takes the place of. */
export const namesReplaced = 5;

/** From this agreed version on the newest check of each shard is kept, however many shards there are. */
export const keepsNewestChecks = 6;

/** From this agreed version on tasks for different partitions are different ones. */
export const tellsPartitionsApart = 6;

/** From this agreed version on a step that brings bytes is one that gets on. */
export const notesGrowth = 6;

export interface JoiningMember {
  readonly id: string;
  readonly address: string;
  readonly admin: string;
  readonly zone: string;
  readonly incarnation: string;
  /** {@link commandVersion} of the build that it runs. */
  readonly commandVersion: number;
  readonly capacityBytes?: number | undefined;
}

/** A move of a plan, as a task begins with it. */
export type PlannedMove = Pick<
  TaskMove,
  'shard' | 'collection' | 'partition' | 'kind' | 'from' | 'to' | 'leaderTo' | 'bytes' | 'why'
>;

/** What a coordinator says with each command about a task: commands of an older term are refused. */
interface ByCoordinator {
  readonly task: number;
  /** Raft term of the meta group in which the coordinator leads it. */
  readonly term: number;
}

/** All changes of the meta state. `at` is the proposer's wall clock in milliseconds: apply reads no clock. */
export type Command = { readonly at: number } & (
  | {
      /** The first command of a cluster. Members get numbers 1.. in the given order, and all vote in the meta group. */
      readonly type: 'bootstrap';
      readonly clusterId: string;
      readonly members: readonly JoiningMember[];
      readonly settings?: Partial<Settings> | undefined;
    }
  | {
      readonly type: 'joinMember';
      readonly clusterId: string;
      readonly member: JoiningMember;
      /** Number of the present member with the same id that it found, 0 for none. Of one that is new. */
      readonly replaces?: number | undefined;
    }
  | { readonly type: 'setMemberState'; readonly member: number; readonly state: MemberState }
  | { readonly type: 'removeMember'; readonly member: number }
  | {
      readonly type: 'putCollection';
      readonly spec: CollectionSpec;
      /** Also where a collection of this name was deleted: it begins again, empty. Else that is refused. */
      readonly anew?: boolean | undefined;
    }
  | { readonly type: 'deleteCollection'; readonly name: string }
  | {
      /** First places of shards that have none. */
      readonly type: 'assignShards';
      readonly assignments: readonly {
        readonly shard: number;
        readonly replicas: readonly number[];
        readonly leader?: number | undefined;
      }[];
    }
  | {
      readonly type: 'updateShardReplicas';
      readonly shard: number;
      readonly expectedEpoch: number;
      /** Those that are there already keep their epoch, new ones get the next one. */
      readonly replicas: readonly Omit<ShardReplicaRecord, 'epoch'>[];
      /** Of these members the replica is made anew: it gets the next epoch, and what the member has is removed. */
      readonly renew?: readonly number[] | undefined;
      readonly preferredLeader?: number | undefined;
      /** The change under way that this belongs to. Without it a shard with a change under way is refused. */
      readonly change?: { readonly task: number; readonly move: number; readonly term: number } | undefined;
    }
  /** All replicas are made anew, empty: a majority of them has lost what it had, so that nothing can be decided any more. */
  | { readonly type: 'foundShard'; readonly shard: number; readonly expectedEpoch: number }
  | { readonly type: 'setSettings'; readonly settings: Partial<Settings> }
  | {
      readonly type: 'createTask';
      readonly kind: TaskKind;
      readonly collection: string;
      readonly member?: number | undefined;
      readonly actor: string;
      readonly moves: readonly PlannedMove[];
      /** Topology epoch that the plan was made for. */
      readonly topologyEpoch: number;
      readonly throttle?: Throttle | undefined;
      readonly options: Readonly<Record<string, string>>;
      /** True: runs at once. False: waits for startTask. */
      readonly start: boolean;
      readonly message: string;
    }
  /** Refused when the topology is no longer the one that the plan was made for. */
  | { readonly type: 'startTask'; readonly task: number }
  | { readonly type: 'cancelTask'; readonly task: number; readonly actor: string }
  | { readonly type: 'setTaskThrottle'; readonly task: number; readonly throttle: Throttle | undefined }
  | ({ readonly type: 'claimTask'; readonly member: number } & ByCoordinator)
  | ({ readonly type: 'beginMove'; readonly move: number } & ByCoordinator)
  | ({
      readonly type: 'progress';
      readonly moves: readonly { readonly move: number; readonly bytesDone: number; readonly step: string }[];
    } & ByCoordinator)
  | ({
      readonly type: 'endMove';
      readonly move: number;
      readonly outcome: 'done' | 'skipped' | 'cancelled' | 'failed' | 'retry';
      readonly reason?: StopReason | undefined;
      readonly bytesDone: number;
    } & ByCoordinator)
  | ({
      readonly type: 'finishTask';
      readonly state: 'cancelled' | 'succeeded' | 'failed';
      readonly message: string;
      readonly findings: readonly Finding[];
    } & ByCoordinator)
  | { readonly type: 'recordCheck'; readonly check: CheckRecord }
  | { readonly type: 'setAlarm'; readonly alarm: Alarm }
  | { readonly type: 'clearAlarm'; readonly shard: number; readonly member?: number | undefined }
);

export type CommandType = Command['type'];

/** A command as it was decoded: one that this build does not know keeps its name and version only. */
export type DecodedCommand =
  | { readonly known: true; readonly version: number; readonly command: Command }
  | { readonly known: false; readonly version: number; readonly type: string };

export type RefusalCode =
  /** The cluster is not bootstrapped, or already is. */
  | 'NotBootstrapped'
  | 'AlreadyBootstrapped'
  /** Two clusters met: ids differ. */
  | 'OtherCluster'
  | 'UnsupportedCommand'
  | 'MemberUnknown'
  /** The id is in use by a live member with another incarnation. */
  | 'MemberReplaced'
  /** A new member has found another one in its place than there is now: it may be of a process that is gone. */
  | 'MemberChanged'
  | 'MemberHoldsReplicas'
  | 'MemberUp'
  | 'CollectionUnknown'
  /** Another collection has the name or one of the class ids. */
  | 'NameTaken'
  /** A collection of this name was deleted; a configuration from before does not bring it back. */
  | 'CollectionDeleted'
  /** Partition count, type and durability stay what they were. */
  | 'Immutable'
  | 'ShardUnknown'
  /** Another change is under way on the shard. */
  | 'ShardBusy'
  | 'EpochConflict'
  | 'AlreadyPlaced'
  | 'TaskUnknown'
  | 'TaskState'
  /** A coordinator of a newer term has the task. */
  | 'StaleCoordinator'
  /** The topology changed since the plan was made. */
  | 'PlanStale'
  /** Another unfinished task does the same. */
  | 'TaskExists'
  | 'TooMany'
  | 'Invalid';

export interface Refusal {
  readonly ok: false;
  readonly code: RefusalCode;
  /** One sentence. */
  readonly message: string;
  /** The epoch that an {@link RefusalCode EpochConflict} found. */
  readonly epoch?: number | undefined;
}

export interface Accepted {
  readonly ok: true;
  /** False when the state was already so. */
  readonly changed: boolean;
  /** Number that the command allocated or found: member, task. */
  readonly id?: number | undefined;
  /** Shards that wait for a place or for another number of replicas. */
  readonly shards?: readonly number[] | undefined;
}

export type ApplyResult = Accepted | Refusal;
