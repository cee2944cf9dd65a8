import {
  Absences,
  type Accepted,
  apply,
  type ApplyResult,
  type CollectionSpec,
  type Command,
  commandVersion,
  createMetaState,
  decodeCommand,
  encodeCommand,
  type IsGone,
  type JoiningMember,
  type PlannedMove,
} from './index.ts';

/** A command before its time is known. */
export type Unstamped = Command extends infer C ? (C extends Command ? Omit<C, 'at'> : never) : never;

/** The meta state of one member, to which commands come one after the other. For tests. */
export class MetaUnderTest {
  state = createMetaState();
  now = 1000;
  readonly #absences = new Absences({ monotonic: () => this.now });

  readonly isGone: IsGone = (record) => this.#absences.isGone(record, this.state.settings.nodeDownMs);

  /** Through the codec, as it comes out of the log. */
  run(command: Unstamped): ApplyResult {
    this.now += 1;
    const result = apply(this.state, decodeCommand(encodeCommand({ ...command, at: this.now })));
    this.#absences.note(this.state.members.values());
    return result;
  }

  /** Throws when the command is refused. */
  accept(command: Unstamped): Accepted {
    const result = this.run(command);
    if (!result.ok) throw new Error(`${command.type} is refused: ${JSON.stringify(result)}`);
    return result;
  }

  bootstrap(count = 3): void {
    const members = Array.from({ length: count }, (_, i) => member(`grid-${i}`));
    this.accept({ type: 'bootstrap', clusterId: 'blue', members });
  }

  /** A collection whose shards all lie on members 1, 2 and 3. */
  placed(name = 'c', rest: Partial<CollectionSpec> = {}): readonly number[] {
    const shards = this.accept({ type: 'putCollection', spec: spec(name, rest) }).shards ?? [];
    const assignments = shards.map((shard) => ({ shard, replicas: [1, 2, 3], leader: 1 }));
    this.accept({ type: 'assignShards', assignments });
    return shards;
  }

  /** A task that is decided on the present topology. */
  task(moves: readonly PlannedMove[], rest: Partial<Extract<Unstamped, { type: 'createTask' }>> = {}): Unstamped {
    return {
      type: 'createTask',
      kind: 'rebalance',
      collection: '',
      actor: 'ann',
      moves,
      topologyEpoch: this.state.cluster?.epoch ?? 0,
      options: {},
      start: true,
      message: '',
      ...rest,
    };
  }
}

export function member(id: string, rest: Partial<JoiningMember> = {}): JoiningMember {
  return { id, address: `${id}:1`, admin: '', zone: '', incarnation: `${id}-disk`, commandVersion, ...rest };
}

export function spec(name: string, rest: Partial<CollectionSpec> = {}): CollectionSpec {
  return {
    name,
    classIds: [],
    partitionCount: 2,
    replicaCount: 3,
    shardType: 'raft',
    durability: 'persistent',
    options: {},
    invocations: { fnRoutes: {}, disabledFn: [] },
    ...rest,
  };
}

export function replacing(shard: number, from: number, to: number): PlannedMove {
  return { shard, collection: 'c', partition: 0, kind: 'replica', from, to, bytes: 100, why: 'replica-balance' };
}
