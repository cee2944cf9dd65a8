import { forgetReplaced } from './apply-members.ts';
import { dropShards } from './apply-tasks.ts';
import { canonical } from './codec.ts';
import type { ApplyResult, Command } from './commands.ts';
import { accepted, refused, unchanged } from './result.ts';
import type { ClusterRecord, CollectionRecord, CollectionSpec, DeletedCollection, MetaState } from './types.ts';

type Of<T extends Command['type']> = Extract<Command, { type: T }>;

const maxPartitions = 65_536;
/** More voters make a group slower and hardly safer. */
const maxReplicas = 9;
/** Shards of one cluster. */
const maxShards = 200_000;
/** Names of deleted collections that are remembered. */
const maxDeleted = 1000;
const nameForm = /^[A-Za-z0-9._:-]{1,160}$/;

/** Makes a collection, whose shards then wait for places, or changes one as far as that is possible. */
export function putCollection(state: MetaState, cluster: ClusterRecord, command: Of<'putCollection'>): ApplyResult {
  const { spec, at } = command;
  const problem = invalid(spec);
  if (problem !== undefined) return refused('Invalid', `collection ${spec.name}: ${problem}`);
  const taken = takenName(state, spec);
  if (taken !== undefined) return refused('NameTaken', taken);
  const known = state.collections.get(spec.name);
  if (known !== undefined) return changeCollection(state, cluster, known, spec, at);
  const before = deletedOf(state, spec.name);
  if (before !== undefined && command.anew !== true) {
    return refused('CollectionDeleted', `collection ${spec.name} was deleted`);
  }
  if (state.shards.size + spec.partitionCount > maxShards) {
    return refused('TooMany', `a cluster has at most ${maxShards} shards`);
  }
  const shards = Array.from({ length: spec.partitionCount }, () => state.next.shard++);
  shards.forEach((id, partition) => {
    state.shards.set(id, {
      id,
      collection: spec.name,
      partition,
      type: spec.shardType,
      merges: spec.shardType === 'mst' || (spec.shardType === 'basic' && spec.replicaCount > 1),
      wanted: spec.replicaCount,
      replicas: [],
      epoch: 0,
    });
  });
  state.collections.set(spec.name, { spec, createdAt: at, updatedAt: at, status: 'placing', shards });
  forgetDeleted(state, spec.name);
  cluster.epoch++;
  return accepted({ shards });
}

function changeCollection(
  state: MetaState,
  cluster: ClusterRecord,
  known: CollectionRecord,
  spec: CollectionSpec,
  at: number,
): ApplyResult {
  for (const field of ['partitionCount', 'shardType', 'durability'] as const) {
    if (known.spec[field] !== spec[field]) {
      const values = `${String(known.spec[field])} to ${String(spec[field])}`;
      return refused('Immutable', `${field} of collection ${spec.name} cannot change from ${values}`);
    }
  }
  if (canonical(known.spec) === canonical(spec)) return unchanged({ shards: [] });
  const isResized = known.spec.replicaCount !== spec.replicaCount;
  known.spec = spec;
  known.updatedAt = at;
  if (!isResized) return accepted({ shards: [] });
  for (const id of known.shards) {
    const shard = state.shards.get(id);
    if (shard !== undefined) shard.wanted = spec.replicaCount;
  }
  cluster.epoch++;
  return accepted({ shards: known.shards });
}

/** The last collection of that name, where it was deleted. */
export function deletedOf(state: MetaState, name: string): DeletedCollection | undefined {
  return state.deleted.find(({ spec }) => spec.name === name);
}

function forgetDeleted(state: MetaState, name: string): void {
  state.deleted.splice(0, Infinity, ...state.deleted.filter(({ spec }) => spec.name !== name));
}

/**
 * Deletes the collection and its shards. Moves of its shards that are under way end where they are, and tasks of this
 * collection alone end. Members remove their replicas when they see it, whenever that is.
 */
export function deleteCollection(
  state: MetaState,
  cluster: ClusterRecord,
  command: Of<'deleteCollection'>,
): ApplyResult {
  const known = state.collections.get(command.name);
  if (known === undefined) return refused('CollectionUnknown', `there is no collection ${command.name}`);
  const gone = new Set(known.shards);
  for (const id of gone) state.shards.delete(id);
  state.collections.delete(command.name);
  state.deleted.push({ spec: known.spec, at: command.at });
  if (state.deleted.length > maxDeleted) state.deleted.splice(0, state.deleted.length - maxDeleted);
  dropShards(state, gone, command);
  state.alarms.splice(0, Infinity, ...state.alarms.filter(({ shard }) => !gone.has(shard)));
  state.checks.splice(0, Infinity, ...state.checks.filter(({ shard }) => !gone.has(shard)));
  forgetReplaced(state);
  cluster.epoch++;
  return accepted();
}

function invalid(spec: CollectionSpec): string | undefined {
  if (!nameForm.test(spec.name)) return 'the name is no id';
  if (!isCount(spec.partitionCount, maxPartitions)) return `partitions are 1 to ${maxPartitions}`;
  if (!isCount(spec.replicaCount, maxReplicas)) return `replicas are 1 to ${maxReplicas}`;
  return undefined;
}

function isCount(value: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= most;
}

/** Names and class ids lead to one collection each. */
function takenName(state: MetaState, spec: CollectionSpec): string | undefined {
  const own = new Set([spec.name, ...spec.classIds]);
  for (const { spec: other } of state.collections.values()) {
    if (other.name === spec.name) continue;
    const taken = [other.name, ...other.classIds].find((name) => own.has(name));
    if (taken !== undefined) return `${taken} already leads to collection ${other.name}`;
  }
  return undefined;
}
