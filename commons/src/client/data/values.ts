import type { data } from '@oaas/proto';
import type { Pen, Scanner } from '../../grpc/index.ts';

/**
 * Fields of a message as callers give it. Nothing is taken for granted: what has not the type that it should have is left
 * to the generated code, which takes or refuses it.
 */
export type Fields<K extends string> = { readonly [key in K]?: unknown };

const int32Max = 0x7fffffff;

export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

export function isWhole(value: unknown, max = Number.MAX_SAFE_INTEGER): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max && !Object.is(value, -0);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Class (tag 10) and partition (tag 16), with which most messages begin. No object by number. */
export function writeTarget(pen: Pen, message: Fields<'clsId' | 'partitionId' | 'legacyObjectId'>): boolean {
  const { clsId, partitionId, legacyObjectId } = message;
  if (!isAbsent(legacyObjectId)) return false;
  const partition = partitionId ?? 0;
  if (!isWhole(partition, int32Max) || !writeText(pen, 10, clsId)) return false;
  if (partition !== 0) {
    pen.tag(16);
    pen.varint(partition);
  }
  return true;
}

/** A text: an empty one is not written. */
export function writeText(pen: Pen, tag: number, text: unknown): boolean {
  return text === '' || writeOptionalText(pen, tag, text);
}

/** A text that may be absent: written also when it is empty. */
export function writeOptionalText(pen: Pen, tag: number, text: unknown): boolean {
  if (isAbsent(text)) return true;
  if (typeof text !== 'string') return false;
  pen.tag(tag);
  pen.string(text);
  return true;
}

/** A number that may be absent: written also when it is 0. */
export function writeOptionalNumber(pen: Pen, tag: number, value: unknown): boolean {
  if (isAbsent(value)) return true;
  if (!isWhole(value)) return false;
  pen.tag(tag);
  pen.varint(value);
  return true;
}

/** A value below `tag`, if there is one. */
export function writeValue(pen: Pen, tag: number, value: unknown): boolean {
  if (isAbsent(value)) return true;
  if (!isObject(value)) return false;
  const content = value['data'] ?? undefined;
  const type = value['type'] ?? 0;
  const ttlMs = value['ttlMs'] ?? undefined;
  const expiresAtMs = value['expiresAtMs'] ?? undefined;
  if ((content !== undefined && !(content instanceof Uint8Array)) || !isWhole(type, int32Max)) return false;
  const guess = content === undefined ? 0 : content.length + 4;
  pen.tag(tag);
  const at = pen.open(guess);
  if (content !== undefined && content.length > 0) {
    pen.tag(10);
    pen.bytes(content);
  }
  if (type !== 0) {
    pen.tag(16);
    pen.varint(type);
  }
  if (ttlMs !== undefined && !writeNumber100(pen, 800, ttlMs)) return false;
  if (expiresAtMs !== undefined && !writeNumber100(pen, 808, expiresAtMs)) return false;
  pen.close(at, guess);
  return true;
}

/** A number of a field from 100 on: its tag has two bytes. */
function writeNumber100(pen: Pen, tag: number, value: unknown): boolean {
  if (!isWhole(value)) return false;
  pen.varint(tag);
  pen.varint(value);
  return true;
}

/** Entries of a map of values, each below `tag`. */
export function writeValues(pen: Pen, tag: number, values: unknown): boolean {
  if (isAbsent(values)) return true;
  if (!isObject(values)) return false;
  for (const key of Object.keys(values)) {
    const value = values[key];
    if (value === undefined) continue;
    // Generated code loses such an entry, so this is not the place to send it.
    if (value === null || key === '__proto__') return false;
    const guess = key.length + contentLength(value) + 8;
    pen.tag(tag);
    const at = pen.open(guess);
    if (!writeText(pen, 10, key) || !writeValue(pen, 18, value)) return false;
    pen.close(at, guess);
  }
  return true;
}

/** An object below `tag`, if there is one. Those with events or with entries by number are not usual. */
export function writeObject(pen: Pen, tag: number, object: unknown): boolean {
  if (isAbsent(object)) return true;
  if (!isObject(object)) return false;
  const { metadata, event, legacyEntries, entries } = object as Fields<keyof data.ObjData>;
  if (!isAbsent(event) || (!isAbsent(legacyEntries) && Object.keys(legacyEntries).length > 0)) return false;
  let guess = isAbsent(metadata) ? 0 : 24;
  if (isObject(entries)) for (const value of Object.values(entries)) guess += 20 + contentLength(value);
  pen.tag(tag);
  const at = pen.open(guess);
  if (!writeMetadata(pen, metadata) || !writeValues(pen, 34, entries)) return false;
  pen.close(at, guess);
  return true;
}

function contentLength(value: unknown): number {
  const content = isObject(value) ? value['data'] : undefined;
  return content instanceof Uint8Array ? content.length : 0;
}

function writeMetadata(pen: Pen, metadata: unknown): boolean {
  if (isAbsent(metadata)) return true;
  if (!isObject(metadata)) return false;
  const { version, objectId } = metadata as Fields<keyof data.ObjMeta>;
  pen.tag(10);
  const at = pen.open(0);
  if (!writeTarget(pen, metadata) || !writeOptionalText(pen, 34, objectId)) return false;
  if (!isAbsent(version) && !writeNumber100(pen, 800, version)) return false;
  pen.close(at, 0);
  return true;
}

export function readValue(scanner: Scanner, end: number): data.ValData {
  let content: Buffer | undefined;
  let type: data.ValType = 0;
  let ttlMs: number | undefined;
  let expiresAtMs: number | undefined;
  while (scanner.more(end)) {
    switch (scanner.small()) {
      case 10:
        content = scanner.content(end);
        break;
      case 16:
        type = scanner.small() as data.ValType;
        break;
      case 800:
        ttlMs = scanner.large();
        break;
      case 808:
        expiresAtMs = scanner.large();
        break;
      default:
        scanner.giveUp();
    }
  }
  return { data: content ?? Buffer.alloc(0), type, ttlMs, expiresAtMs };
}

/** One entry of a map of values, into `values`. */
export function readEntry(scanner: Scanner, end: number, values: Record<string, data.ValData>): void {
  let key = '';
  let value: data.ValData | undefined;
  while (scanner.more(end)) {
    switch (scanner.small()) {
      case 10:
        key = scanner.string(end);
        break;
      case 18:
        value = readValue(scanner, scanner.endOf(end));
        break;
      default:
        scanner.giveUp();
    }
  }
  // An entry without a value has the default one.
  value ??= { data: Buffer.alloc(0), type: 0, ttlMs: undefined, expiresAtMs: undefined };
  // It would become the prototype.
  if (key === '__proto__') scanner.giveUp();
  else values[key] = value;
}

export function readObject(scanner: Scanner, end: number): data.ObjData {
  let metadata: data.ObjMeta | undefined;
  const entries: Record<string, data.ValData> = {};
  while (scanner.more(end)) {
    switch (scanner.small()) {
      case 10:
        metadata = readMetadata(scanner, scanner.endOf(end));
        break;
      case 34:
        readEntry(scanner, scanner.endOf(end), entries);
        break;
      default:
        scanner.giveUp();
    }
  }
  return { metadata, legacyEntries: {}, event: undefined, entries };
}

function readMetadata(scanner: Scanner, end: number): data.ObjMeta {
  let clsId = '';
  let partitionId = 0;
  let objectId: string | undefined;
  let version: number | undefined;
  while (scanner.more(end)) {
    switch (scanner.small()) {
      case 10:
        clsId = scanner.string(end);
        break;
      case 16:
        partitionId = scanner.small();
        break;
      case 34:
        objectId = scanner.string(end);
        break;
      case 800:
        version = scanner.large();
        break;
      default:
        scanner.giveUp();
    }
  }
  return { clsId, partitionId, legacyObjectId: undefined, objectId, version };
}
