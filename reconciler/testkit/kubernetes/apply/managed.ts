import { deepEqual, isJson, type Json, type KubeObject, type ManagedFieldsEntry } from '../types.ts';
import type { SchemaNode } from '../schema/schema.ts';
import { emptyStruct } from '../schema/structs.ts';
import {
  decodeFields,
  emptySet,
  encodeFields,
  equalSets,
  intersectSets,
  isEmptySet,
  printPaths,
  setOf,
  subtractRecursively,
  subtractSets,
  unionSets,
  type FieldSet,
} from './fieldset.ts';
import { compareTyped, fieldsOf, mergeTyped, removeFields, withNamedParents } from './typed.ts';

/** Who changes an object, and by which way. */
export interface Actor {
  /** Name of the field manager. */
  readonly manager: string;
  readonly subresource?: string;
  /** The version that the request speaks, such as `apps/v1`. */
  readonly apiVersion: string;
  /** RFC 3339 with seconds. */
  readonly now: string;
}

/** Fields that an applier wants and others own. */
export interface FieldConflict {
  /** How messages name it: `"x" using apps/v1 at 2026-01-01T00:00:00Z`. */
  readonly owner: string;
  readonly fields: FieldSet;
}

/** The refusal of an apply. */
export class ApplyConflict extends Error {
  readonly conflicts: readonly FieldConflict[];
  constructor(conflicts: readonly FieldConflict[]) {
    super('apply conflict');
    this.name = 'ApplyConflict';
    this.conflicts = conflicts;
  }
}

interface Manager {
  readonly entry: ManagedFieldsEntry;
  set: FieldSet;
  readonly isApplied: boolean;
}

/** Never owned by anybody. */
const UNOWNED = setOf(
  ['apiVersion'],
  ['kind'],
  ['metadata', 'name'],
  ['metadata', 'namespace'],
  ['metadata', 'creationTimestamp'],
  ['metadata', 'selfLink'],
  ['metadata', 'uid'],
  ['metadata', 'clusterName'],
  ['metadata', 'generation'],
  ['metadata', 'managedFields'],
  ['metadata', 'resourceVersion'],
);
/** `metadata` alone is not owned either, what is below it may be. */
const METADATA = setOf(['metadata']);

/** Above this many entries of operation Update the oldest ones are merged into one called `ancient-changes`. */
const MAX_UPDATE_MANAGERS = 10;
/** Owns what an object without managedFields held before it was first applied. */
const FIRST_OWNER = 'before-first-apply';
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Whether the entry's version can be read by this schema. An entry of another version of the same group is kept as it
 * is; its field names are taken as they stand, since conversion between versions here changes nothing but the version.
 */
function readManagers(entries: readonly ManagedFieldsEntry[] | undefined): Map<string, Manager> {
  const out = new Map<string, Manager>();
  for (const entry of entries ?? []) {
    const key = managerKey(entry);
    const set = decodeFields(entry.fieldsV1);
    const known = out.get(key);
    out.set(key, {
      entry,
      set: known === undefined ? set : unionSets(known.set, set),
      isApplied: entry.operation === 'Apply',
    });
  }
  return out;
}

/** What makes two entries one manager. */
function managerKey(entry: ManagedFieldsEntry): string {
  const version = entry.operation === 'Apply' ? '' : (entry.apiVersion ?? '');
  return JSON.stringify([entry.manager ?? '', entry.operation ?? '', version, entry.subresource ?? '']);
}

function writeManagers(
  managers: Map<string, Manager>,
  previous: Map<string, FieldSet>,
  now: string,
): ManagedFieldsEntry[] {
  const out: { entry: ManagedFieldsEntry; isApplied: boolean }[] = [];
  for (const [key, manager] of managers) {
    if (isEmptySet(manager.set)) continue;
    const before = previous.get(key);
    const isUnchanged = before !== undefined && equalSets(before, manager.set);
    const time = isUnchanged ? (manager.entry.time ?? now) : now;
    const entry: ManagedFieldsEntry = {
      ...(manager.entry.manager === undefined ? {} : { manager: manager.entry.manager }),
      ...(manager.entry.operation === undefined ? {} : { operation: manager.entry.operation }),
      ...(manager.entry.apiVersion === undefined ? {} : { apiVersion: manager.entry.apiVersion }),
      time,
      fieldsType: 'FieldsV1',
      fieldsV1: encodeFields(manager.set),
      ...(manager.entry.subresource === undefined ? {} : { subresource: manager.entry.subresource }),
    };
    out.push({ entry, isApplied: manager.isApplied });
  }
  // Appliers first, then by time, then by name: the order in which they are shown.
  out.sort(
    (a, b) =>
      Number(b.isApplied) - Number(a.isApplied) ||
      compareText(a.entry.time ?? '', b.entry.time ?? '') ||
      compareText(a.entry.manager ?? '', b.entry.manager ?? ''),
  );
  return capUpdaters(out.map((item) => item.entry));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function capUpdaters(entries: ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  const updaters = entries.filter((entry) => entry.operation === 'Update' && entry.subresource === undefined);
  if (updaters.length <= MAX_UPDATE_MANAGERS) return entries;
  const merged = new Set(updaters.slice(0, updaters.length - MAX_UPDATE_MANAGERS + 1));
  let set = emptySet();
  let version: string | undefined;
  let time: string | undefined;
  for (const entry of merged) {
    set = unionSets(set, decodeFields(entry.fieldsV1));
    version ??= entry.apiVersion;
    time = entry.time;
  }
  const ancient: ManagedFieldsEntry = {
    manager: 'ancient-changes',
    operation: 'Update',
    ...(version === undefined ? {} : { apiVersion: version }),
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: encodeFields(set),
  };
  const rest = entries.filter((entry) => !merged.has(entry));
  const firstUpdate = rest.findIndex((entry) => entry.operation === 'Update');
  rest.splice(firstUpdate === -1 ? rest.length : firstUpdate, 0, ancient);
  return rest;
}

function owned(set: FieldSet): FieldSet {
  return subtractSets(subtractRecursively(set, UNOWNED), METADATA);
}

/** A shallow copy without managedFields, which never takes part in comparisons. */
function bare(object: KubeObject | Json): Json {
  const metadata: unknown = object['metadata'];
  if (!isJson(metadata)) return object;
  const rest: Json = { ...metadata };
  delete rest['managedFields'];
  return { ...object, metadata: rest };
}

function snapshot(managers: Map<string, Manager>): Map<string, FieldSet> {
  return new Map([...managers].map(([key, manager]) => [key, manager.set]));
}

/** What a built-in kind's object looks like before its first field is set. */
function blank(node: SchemaNode, isNative: boolean): Json {
  return isNative ? emptyStruct(node) : { metadata: {} };
}

/**
 * Computes `managedFields` after a create, update or patch (operation Update).
 * @param live the stored object, undefined at creation.
 * @param next the object as it will be stored. A request that sends managedFields of one empty entry resets them.
 */
export function trackUpdate(
  live: KubeObject | undefined,
  next: KubeObject,
  node: SchemaNode,
  isNative: boolean,
  actor: Actor,
): ManagedFieldsEntry[] {
  const sent = next.metadata.managedFields;
  const isReset = sent?.length === 1 && Object.keys(sent[0] ?? {}).length === 0;
  if (isReset) return [];
  // Who turned ownership off by such a reset does without it until the next apply.
  if (live !== undefined && live.metadata.managedFields === undefined && (sent?.length ?? 0) === 0) return [];
  const managers = readManagers(sent === undefined || sent.length === 0 ? live?.metadata.managedFields : sent);
  const previous = snapshot(managers);
  const comparison = compareTyped(live === undefined ? blank(node, isNative) : bare(live), bare(next), node);
  const touched = unionSets(comparison.modified, comparison.added);
  const entry = entryOf(actor, 'Update');
  const key = managerKey(entry);
  for (const [other, manager] of managers) {
    if (other === key) continue;
    manager.set = subtractSets(subtractSets(manager.set, intersectSets(manager.set, touched)), comparison.removed);
  }
  const mine = managers.get(key) ?? { entry, set: emptySet(), isApplied: false };
  mine.set = owned(unionSets(subtractSets(mine.set, comparison.removed), touched));
  managers.set(key, mine);
  return writeManagers(managers, previous, actor.now);
}

function entryOf(actor: Actor, operation: 'Apply' | 'Update'): ManagedFieldsEntry {
  return {
    manager: actor.manager,
    operation,
    apiVersion: actor.apiVersion,
    ...(actor.subresource === undefined ? {} : { subresource: actor.subresource }),
  };
}

/** The outcome of an apply: the merged object (without managedFields) and who owns what. */
export interface Applied {
  readonly object: Json;
  readonly managedFields: ManagedFieldsEntry[];
}

/**
 * Server-side apply: merges `config` into `live`, removes what the manager applied before and nobody else owns, and
 * finds conflicts.
 * @throws ApplyConflict when others own a field with another value and `force` is false.
 */
export function applyConfiguration(
  live: KubeObject | undefined,
  config: Json,
  node: SchemaNode,
  isNative: boolean,
  actor: Actor,
  force: boolean,
): Applied {
  const managers = readManagers(live?.metadata.managedFields);
  const before: Json = live === undefined ? blank(node, isNative) : bare(live);
  if (live !== undefined && managers.size === 0) {
    const earlier = { manager: FIRST_OWNER, operation: 'Update', apiVersion: actor.apiVersion, time: actor.now };
    managers.set(managerKey(earlier), { entry: earlier, set: owned(fieldsOf(before, node)), isApplied: false });
  }
  const previous = snapshot(managers);
  const wanted = bare(config);
  const entry = entryOf(actor, 'Apply');
  const key = managerKey(entry);
  const lastSet = managers.get(key)?.set;
  const mine: Manager = { entry, set: owned(fieldsOf(wanted, node)), isApplied: true };
  const time = managers.get(key)?.entry.time;
  if (time !== undefined) mine.entry.time = time;
  managers.set(key, mine);

  let object = mergeTyped(before, wanted, node) as Json;
  if (lastSet !== undefined && !isEmptySet(lastSet)) object = prune(object, lastSet, managers, node);

  const comparison = compareTyped(before, object, node);
  const touched = unionSets(comparison.modified, comparison.added);
  const conflicts: FieldConflict[] = [];
  for (const [other, manager] of managers) {
    if (other === key) continue;
    const taken = intersectSets(manager.set, touched);
    if (isEmptySet(taken)) continue;
    conflicts.push({ owner: ownerText(manager.entry), fields: taken });
  }
  const isForced = force || isClientSideMigration(actor, live, conflicts, node);
  if (conflicts.length > 0 && !isForced) throw new ApplyConflict(conflicts);
  for (const [other, manager] of managers) {
    if (other === key) continue;
    manager.set = subtractSets(subtractSets(manager.set, intersectSets(manager.set, touched)), comparison.removed);
  }
  return { object, managedFields: writeManagers(managers, previous, actor.now) };
}

function prune(merged: Json, lastSet: FieldSet, managers: Map<string, Manager>, node: SchemaNode): Json {
  let managed = emptySet();
  for (const manager of managers.values()) managed = unionSets(managed, manager.set);
  const last = withNamedParents(lastSet, node);
  const stillOwned = withNamedParents(managed, node);
  const candidates = intersectSets(withNamedParents(fieldsOf(merged, node), node), last);
  const gone = subtractSets(candidates, stillOwned);
  if (isEmptySet(gone)) return merged;
  const pruned = removeFields(merged, withoutOwnedBelow(gone, stillOwned), node);
  return isJson(pruned) ? pruned : {};
}

/** A container is not removed while somebody owns a field in it. */
function withoutOwnedBelow(gone: FieldSet, managed: FieldSet): FieldSet {
  const out = emptySet(gone.member && !hasMember(managed));
  for (const [element, inner] of gone.children) {
    out.children.set(element, withoutOwnedBelow(inner, managed.children.get(element) ?? emptySet()));
  }
  return out;
}

function hasMember(set: FieldSet): boolean {
  if (set.member) return true;
  for (const inner of set.children.values()) if (hasMember(inner)) return true;
  return false;
}

/** kubectl's own client-side apply does not conflict with its server-side one, as far as its annotation names the fields. */
function isClientSideMigration(
  actor: Actor,
  live: KubeObject | undefined,
  conflicts: readonly FieldConflict[],
  node: SchemaNode,
): boolean {
  if (actor.manager !== 'kubectl') return false;
  const text = live?.metadata.annotations?.[LAST_APPLIED];
  if (text === undefined) return false;
  const last = parseObject(text);
  if (last === undefined) return false;
  const allowed = fieldsOf(last, node);
  return conflicts.every((conflict) => isEmptySet(subtractSets(conflict.fields, allowed)));
}

function parseObject(text: string): Json | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return isJson(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function ownerText(entry: ManagedFieldsEntry): string {
  const parts = [JSON.stringify(entry.manager ?? '')];
  if (entry.subresource !== undefined) parts.push(`with subresource ${JSON.stringify(entry.subresource)}`);
  if (entry.operation === 'Update') parts.push(`using ${entry.apiVersion ?? ''}`);
  if (entry.operation === 'Update' && entry.time !== undefined) parts.push(`at ${entry.time}`);
  return parts.join(' ');
}

/** Whether two objects are the same but for the times in their managedFields and the resourceVersion. */
export function sameObject(a: KubeObject, b: KubeObject): boolean {
  const strip = (object: KubeObject): Json => {
    const metadata: Json = { ...object.metadata };
    delete metadata['resourceVersion'];
    metadata['managedFields'] = (object.metadata.managedFields ?? []).map((entry) => ({ ...entry, time: '' }));
    return { ...object, metadata };
  };
  return deepEqual(strip(a), strip(b));
}

/** The causes of a conflict's Status, and its message. */
export function conflictCauses(conflicts: readonly FieldConflict[]): { message: string; causes: Json[] } {
  const sorted = conflicts.toSorted((a, b) => compareText(a.owner, b.owner));
  const all = sorted.flatMap(({ owner, fields }) => printPaths(fields).map((field) => ({ owner, field })));
  const causes = all.map(({ owner, field }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${owner}`,
    field,
  }));
  const [only] = all;
  if (only !== undefined && all.length === 1) {
    return { message: `Apply failed with 1 conflict: conflict with ${only.owner}: ${only.field}`, causes };
  }
  const lines = sorted.flatMap(({ owner, fields }) => [
    `conflicts with ${owner}:`,
    ...printPaths(fields).map((field) => `- ${field}`),
  ]);
  return { message: `Apply failed with ${String(all.length)} conflicts: ${lines.join('\n')}`, causes };
}
