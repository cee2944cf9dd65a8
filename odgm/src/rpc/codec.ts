import { normalizeId } from '@oaas/commons/client';
import { oaasError } from '@oaas/commons/errors';
import { data } from '@oaas/proto';
import type {
  ListedObject,
  ListedValue,
  ListQuery,
  Mutation,
  ObjectMeta,
  Page,
  StoredObject,
  Value,
} from '../shard/index.ts';

/**
 * The one place where messages of the wire and types of this program meet.
 *
 * Clients of two generations call: the current form names objects and entries by text, the legacy form by number
 * (uint64 and uint32 in other tags). A number is kept as its decimal text. A legacy caller is answered in both forms.
 */
export type Form = 'current' | 'legacy';

export interface ObjectAddress {
  readonly classId: string;
  /** As the caller said; it may be computed instead. */
  readonly partition: number;
  readonly objectId: string;
  readonly form: Form;
}

/** Objects of JavaScript cannot hold it as a key of their own, so a map of the wire would lose it in silence. */
const reservedId = '__proto__';
/** In milliseconds: what records have room for. */
const latestExpiry = 2 ** 48 - 1;

/** The normal form of an object id or an entry key. Throws `InvalidArgument`. */
export function idOf(text: string, what: string): string {
  const id = normalizeId(text, what);
  if (id !== reservedId) return id;
  throw oaasError('InvalidArgument', `the ${what} ${reservedId} is reserved`, { details: { field: what } });
}

interface Addressed {
  readonly clsId: string;
  readonly partitionId: number;
  readonly objectId?: string | undefined;
  readonly legacyObjectId?: string | undefined;
}

/** Throws `InvalidArgument` without an object id. */
export function addressOf(request: Addressed): ObjectAddress {
  const { clsId: classId, partitionId: partition, objectId, legacyObjectId } = request;
  if (objectId !== undefined) return { classId, partition, objectId: idOf(objectId, 'object_id'), form: 'current' };
  if (legacyObjectId !== undefined) return { classId, partition, objectId: legacyObjectId, form: 'legacy' };
  throw missing('object_id');
}

/** Of a request for one entry. A legacy key 0 is not on the wire at all: protobuf leaves defaults out. */
export function entryAddressOf(
  request: Addressed & { readonly key?: string | undefined; readonly legacyKey?: number | undefined },
): { readonly address: ObjectAddress; readonly key: string } {
  if (request.key !== undefined) return { address: addressOf(request), key: idOf(request.key, 'key') };
  const isLegacy = request.legacyKey !== undefined || request.legacyObjectId !== undefined;
  if (!isLegacy) throw missing('key');
  const address = addressOf({ ...request, legacyObjectId: request.legacyObjectId ?? '0' });
  return { address: { ...address, form: 'legacy' }, key: String(request.legacyKey ?? 0) };
}

/** Of Set and Merge: the object may carry the address that the request leaves out. */
export function objectAddressOf(request: data.SetObjectRequest): { address: ObjectAddress; object: data.ObjData } {
  const { object } = request;
  if (object === undefined) throw missing('object');
  const { metadata } = object;
  const hasOwnId = request.objectId !== undefined || request.legacyObjectId !== undefined;
  const isLegacyZero = metadata?.objectId === undefined && Object.keys(object.legacyEntries).length > 0;
  const address = addressOf({
    clsId: request.clsId === '' ? (metadata?.clsId ?? '') : request.clsId,
    partitionId: request.partitionId,
    objectId: hasOwnId ? request.objectId : metadata?.objectId,
    legacyObjectId: hasOwnId ? request.legacyObjectId : (metadata?.legacyObjectId ?? (isLegacyZero ? '0' : undefined)),
  });
  return { address, object };
}

/** `now`, here and below: wall clock, from which on times to live count, and which events bear. */
export function setMutation(objectId: string, object: data.ObjData, now: number): Mutation {
  return {
    type: 'change',
    objectId,
    put: entriesOf(object, now),
    remove: [],
    replace: true,
    event: eventOf(object.event),
    at: now,
  };
}

/** Its result has the object that it leaves: nothing that is read later is what this one left. */
export function mergeMutation(objectId: string, object: data.ObjData, now: number): Mutation {
  return { ...setMutation(objectId, object, now), replace: false, returnsObject: true } as Mutation;
}

export function setValueMutation(
  objectId: string,
  key: string,
  value: data.ValData | undefined,
  now: number,
): Mutation {
  if (value === undefined) throw missing('value');
  const put = new Map([[key, valueOf(value, now)]]);
  return { type: 'change', objectId, put, remove: [], replace: false, at: now };
}

export function deleteValueMutation(objectId: string, key: string, now: number): Mutation {
  return { type: 'change', objectId, put: new Map(), remove: [key], replace: false, at: now };
}

export function batchMutation(objectId: string, request: data.BatchSetValuesRequest, now: number): Mutation {
  return {
    type: 'change',
    objectId,
    put: textEntries(request.values, now),
    remove: request.deleteKeys.map((key) => idOf(key, 'delete_keys')),
    replace: false,
    expectedVersion: request.expectedObjectVersion,
    at: now,
  };
}

function entriesOf(object: data.ObjData, now: number): Map<string, Value> {
  const entries = textEntries(object.entries, now);
  for (const [key, value] of Object.entries(object.legacyEntries)) {
    if (entries.has(key)) {
      throw oaasError('InvalidArgument', `entry ${key} is given by number and by text`, {
        remedy: 'Send each entry in one of the two maps.',
      });
    }
    entries.set(key, valueOf(value, now));
  }
  return entries;
}

function textEntries(wire: Readonly<Record<string, data.ValData>>, now: number): Map<string, Value> {
  if (Object.getPrototypeOf(wire) !== Object.prototype) idOf(reservedId, 'key');
  const entries = new Map<string, Value>();
  let count = 0;
  for (const text of Object.keys(wire)) {
    const value = wire[text];
    if (value === undefined) continue;
    const key = idOf(text, 'key');
    entries.set(key, valueOf(value, now));
    count += 1;
    if (entries.size < count) {
      throw oaasError('InvalidArgument', `two keys differ only by case: ${key}`, {
        remedy: 'Keys are lower-cased; send each once.',
      });
    }
  }
  return entries;
}

function valueOf(value: data.ValData, now: number): Value {
  const expiresAt = expiryOf(value, now);
  switch (value.type) {
    case data.ValType.VAL_TYPE_BYTE:
      return { data: value.data, type: 'bytes', expiresAt };
    case data.ValType.VAL_TYPE_CRDT_MAP:
      return { data: value.data, type: 'crdt-map', expiresAt };
    default:
      throw oaasError('InvalidArgument', `value type ${String(value.type)} is unknown`, {
        remedy: 'Use BYTE or CRDT_MAP.',
      });
  }
}

function expiryOf({ ttlMs, expiresAtMs }: data.ValData, now: number): number | undefined {
  if (ttlMs === undefined && expiresAtMs === undefined) return undefined;
  if (ttlMs !== undefined && expiresAtMs !== undefined) {
    throw oaasError('InvalidArgument', 'ttl_ms and expires_at_ms are both given', { remedy: 'Give one of them.' });
  }
  if (ttlMs === 0) throw oaasError('InvalidArgument', 'ttl_ms is 0', { remedy: 'Give at least 1, or leave it out.' });
  const at = expiresAtMs ?? now + (ttlMs ?? 0);
  if (at <= latestExpiry) return at;
  throw oaasError('InvalidArgument', `an entry cannot expire as late as ${String(at)}`, {
    remedy: `The latest time is ${String(latestExpiry)}; an entry without one stays.`,
  });
}

export function wireValue(value: Value): data.ValData {
  return {
    data: bufferOf(value.data),
    type: value.type === 'bytes' ? data.ValType.VAL_TYPE_BYTE : data.ValType.VAL_TYPE_CRDT_MAP,
    ttlMs: undefined,
    expiresAtMs: value.expiresAt,
  };
}

/** Of the triggers of one object: a change sets off each of them once at most. */
const maxTargets = 1024;
const maxEventBytes = 256 * 1024;

function targetCount({ funcTrigger, dataTrigger, legacyDataTrigger }: data.ObjectEvent): number {
  let count = 0;
  for (const { onComplete, onError } of Object.values(funcTrigger)) count += onComplete.length + onError.length;
  for (const triggers of [dataTrigger, legacyDataTrigger]) {
    for (const { onCreate, onUpdate, onDelete } of Object.values(triggers)) {
      count += onCreate.length + onUpdate.length + onDelete.length;
    }
  }
  return count;
}

function eventOf(event: data.ObjectEvent | undefined): Uint8Array | undefined {
  if (event === undefined) return undefined;
  const targets = targetCount(event);
  const bytes = data.ObjectEvent.encode(event).finish();
  if (targets > maxTargets || bytes.length > maxEventBytes) {
    const most = `${String(maxTargets)} targets and ${String(maxEventBytes)} bytes`;
    throw oaasError(
      'InvalidArgument',
      `the triggers of the object have ${String(targets)} targets and ${String(bytes.length)} bytes`,
      {
        remedy: `An object may have triggers with ${most} in all.`,
        details: { field: 'event' },
      },
    );
  }
  return bytes.length === 0 ? undefined : bytes;
}

export function wireObject(address: ObjectAddress, partition: number, object: StoredObject): data.ObjData {
  const entries: Record<string, data.ValData> = {};
  const legacyEntries: Record<number, data.ValData> = {};
  for (const [key, value] of object.entries) {
    entries[key] = wireValue(value);
    if (address.form === 'legacy' && isUint32(key)) legacyEntries[Number(key)] = entries[key];
  }
  return {
    metadata: {
      clsId: address.classId,
      partitionId: partition,
      objectId: address.objectId,
      legacyObjectId: address.form === 'legacy' ? address.objectId : undefined,
      version: object.meta.version,
    },
    entries,
    legacyEntries,
    event: object.meta.event === undefined ? undefined : data.ObjectEvent.decode(object.meta.event),
  };
}

/** A missing object or key has no value; the version says whether the object exists. */
export function wireValueResponse(
  key: string,
  value: Value | undefined,
  meta: ObjectMeta | undefined,
): data.ValueResponse {
  return {
    value: value === undefined ? undefined : wireValue(value),
    objectVersion: meta?.version,
    key,
  };
}

export function listQuery(prefix: string | undefined, limit: number, cursor: Uint8Array | undefined): ListQuery {
  const folded = prefix ?? '';
  return {
    prefix: folded === '' ? '' : idOf(folded, 'prefix'),
    limit,
    cursor: cursor === undefined || cursor.length === 0 ? undefined : cursor,
  };
}

/** The last one of a page has the cursor for the next page. */
export function wireObjectList({ items, next }: Page<ListedObject>): data.ObjectMetaEnvelope[] {
  return items.map(({ id, meta }, index) => ({
    objectId: id,
    version: meta.version,
    entryCount: meta.entryCount,
    nextCursor: index === items.length - 1 && next !== undefined ? bufferOf(next) : undefined,
  }));
}

/** As {@link wireObjectList}; `version`: of the object. */
export function wireValueList({ items, next }: Page<ListedValue>, version: number): data.ValueEnvelope[] {
  return items.map(({ key, value }, index) => ({
    key,
    value: wireValue(value),
    version,
    nextCursor: index === items.length - 1 && next !== undefined ? bufferOf(next) : undefined,
  }));
}

function isUint32(text: string): boolean {
  return /^(0|[1-9]\d{0,9})$/.test(text) && Number(text) <= 0xffffffff;
}

/** No copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function missing(field: string): Error {
  return oaasError('InvalidArgument', `${field} is missing`, { details: { field } });
}
