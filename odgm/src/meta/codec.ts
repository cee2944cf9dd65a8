import { oaasError } from '@oaas/commons/errors';
import { type Command, type CommandType, commandVersion, type DecodedCommand, schedulesChecks } from './commands.ts';
import { defaultSettings } from './state.ts';
import type { MetaState } from './types.ts';

/** Kinds of commands, with the command version that brought them. */
const introducedIn: Readonly<Record<CommandType, number>> = {
  bootstrap: 1,
  joinMember: 1,
  setMemberState: 1,
  removeMember: 1,
  putCollection: 1,
  deleteCollection: 2,
  assignShards: 1,
  updateShardReplicas: 1,
  foundShard: 1,
  setSettings: 1,
  createTask: 1,
  startTask: 1,
  cancelTask: 1,
  setTaskThrottle: 1,
  claimTask: 1,
  beginMove: 1,
  progress: 1,
  endMove: 1,
  finishTask: 1,
  recordCheck: 1,
  setAlarm: 1,
  clearAlarm: 1,
};

const snapshotVersion = 1;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** A command as an entry of the meta group's log: JSON with its version. */
export function encodeCommand(command: Command): Uint8Array {
  return encoder.encode(JSON.stringify({ version: versionOf(command), command }));
}

function versionOf(command: Command): number {
  if (command.type === 'putCollection' && command.anew === true) return 2;
  if (command.type === 'setSettings' && command.settings.checkEveryMs !== undefined) return schedulesChecks;
  return introducedIn[command.type];
}

/** Throws `DataLoss` for bytes that are no command at all; one of a newer version is no error here. */
export function decodeCommand(data: Uint8Array): DecodedCommand {
  const { version, command } = parse(data, 'command') as { version?: unknown; command?: { type?: unknown } };
  if (typeof version !== 'number' || typeof command?.type !== 'string') throw unreadable('command');
  const isKnown = version <= commandVersion && Object.hasOwn(introducedIn, command.type);
  return isKnown
    ? { known: true, version, command: command as Command }
    : { known: false, version, type: command.type };
}

/** The whole state, for a snapshot of the meta group. The same state gives the same bytes on every member. */
export function encodeState(state: MetaState): Uint8Array {
  const byKey = <K extends number | string, V>(map: ReadonlyMap<K, V>): V[] =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
  const stored = {
    ...state,
    version: snapshotVersion,
    members: byKey(state.members),
    collections: byKey(state.collections),
    shards: byKey(state.shards),
    tasks: byKey(state.tasks),
  };
  return encoder.encode(canonical(stored));
}

/** Throws `DataLoss` for bytes that are no state, `FailedPrecondition` for a state of a newer version. */
export function decodeState(data: Uint8Array): MetaState {
  const stored = parse(data, 'state') as StoredState;
  if (typeof stored.version !== 'number' || !Array.isArray(stored.members)) throw unreadable('state');
  if (stored.version > snapshotVersion) {
    throw oaasError('FailedPrecondition', 'the meta state was written by a newer version', {
      remedy: 'Run the version of the other members.',
      details: { version: stored.version },
    });
  }
  return {
    cluster: stored.cluster,
    members: new Map(stored.members.map((one) => [one.number, one])),
    collections: new Map(stored.collections.map((one) => [one.spec.name, one])),
    shards: new Map(stored.shards.map((one) => [one.id, one])),
    tasks: new Map(stored.tasks.map((one) => [one.id, one])),
    settings: { ...defaultSettings, ...stored.settings },
    alarms: stored.alarms,
    checks: stored.checks,
    deleted: stored.deleted ?? [],
    next: stored.next,
  };
}

type Values<M> = M extends ReadonlyMap<unknown, infer V> ? V[] : never;

type StoredState = {
  readonly version: unknown;
  /** Not in states that were written before command version 2. */
  readonly deleted?: MetaState['deleted'];
} & {
  readonly [K in Exclude<keyof MetaState, 'deleted'>]: MetaState[K] extends ReadonlyMap<unknown, unknown>
    ? Values<MetaState[K]>
    : MetaState[K];
};

/** JSON with sorted keys: restored objects have other orders of keys than those that grew command by command. */
export function canonical(value: object): string {
  if (Array.isArray(value)) return `[${value.map(valueOf).join()}]`;
  const fields: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const field = (value as Readonly<Record<string, unknown>>)[key];
    if (field !== undefined) fields.push(`${JSON.stringify(key)}:${valueOf(field)}`);
  }
  return `{${fields.join()}}`;
}

function valueOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? canonical(value) : JSON.stringify(value ?? null);
}

function parse(data: Uint8Array, what: string): object {
  try {
    const value = JSON.parse(decoder.decode(data)) as unknown;
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Reported below.
  }
  throw unreadable(what);
}

function unreadable(what: string): Error {
  return oaasError('DataLoss', `a ${what} of the meta group is unreadable`, {
    remedy: 'Replace this member: remove its data directory and let it join again.',
  });
}
