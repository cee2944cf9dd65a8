import type { data } from '@oaas/proto';
import type { Pen, Scanner } from '../../grpc/index.ts';

/** A message of which fields may be missing, as callers give it. */
export type Given<T> = { readonly [K in keyof T]?: Given<T[K]> | null | undefined };
type GivenValues = Readonly<Record<string, Given<data.ValData>>>;

/** Fields that a message of the usual kind starts with: tags are 10, 16, and one for the object id. */
export interface Target {
  readonly clsId?: string | null | undefined;
  readonly partitionId?: number | null | undefined;
  readonly legacyObjectId?: string | null | undefined;
  readonly objectId?: string | null | undefined;
}

const int32Max = 0x7fffffff;

/** Class and partition. False for what the generated code must do, or refuse. */
export function writeTarget(pen: Pen, { clsId, partitionId, legacyObjectId }: Target): boolean {
  if ((legacyObjectId ?? undefined) !== undefined) return false;
  const partition = partitionId ?? 0;
  if (!isWhole(partition, int32Max)) return false;
  if ((clsId ?? '') !== '') {
    if (typeof clsId !== 'string') return false;
    pen.tag(10);
    pen.string(clsId);
  }
  if (partition !== 0) {
    pen.tag(16);
    pen.varint(partition);
  }
  return true;
}

/** A text that may be absent: written also when it is empty. */
export function writeOptionalText(pen: Pen, tag: number, text: string | null | undefined): boolean {
  if ((text ?? undefined) === undefined) return true;
  if (typeof text !== 'string') return false;
  pen.tag(tag);
  pen.string(text);
  return true;
}

export function isWhole(value: unknown, max = Number.MAX_SAFE_INTEGER): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max && !Object.is(value, -0);
}

/** A value below `tag`, if there is one. */
export function writeValue(pen: Pen, tag: number, value: Given<data.ValData> | null | undefined): boolean {
  if (value === undefined || value === null) return true;
  const content: unknown = value.data ?? undefined;
  const type: unknown = value.type ?? 0;
  if (content !== undefined && !(content instanceof Uint8Array)) return false;
  if (!isWhole(type, int32Max)) return false;
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
  pen.close(at, guess);
  return true;
}

/** Entries of a map of values, each below `tag`. */
export function writeValues(pen: Pen, tag: number, values: GivenValues | null | undefined): boolean {
  if (values === undefined || values === null) return true;
  for (const key of Object.keys(values)) {
    const value = values[key];
    if (value === undefined) continue;
    if (value === null) return false;
    const guess = key.length + (value.data instanceof Uint8Array ? value.data.length : 0) + 8;
    pen.tag(tag);
    const at = pen.open(guess);
    if (key !== '') {
      pen.tag(10);
      pen.string(key);
    }
    if (!writeValue(pen, 18, value)) return false;
    pen.close(at, guess);
  }
  return true;
}

/** An object below `tag`, if there is one. Those with events or with entries by number are not usual. */
export function writeObject(pen: Pen, tag: number, object: Given<data.ObjData> | null | undefined): boolean {
  if (object === undefined || object === null) return true;
  const { metadata, event, legacyEntries, entries } = object;
  if ((event ?? undefined) !== undefined) return false;
  if (legacyEntries !== undefined && legacyEntries !== null && Object.keys(legacyEntries).length > 0) return false;
  const guess = guessObject(object);
  pen.tag(tag);
  const at = pen.open(guess);
  if (!writeMetadata(pen, metadata) || !writeValues(pen, 34, entries as GivenValues | undefined)) return false;
  pen.close(at, guess);
  return true;
}

function guessObject({ metadata, entries }: Given<data.ObjData>): number {
  let guess = 0;
  if ((metadata ?? undefined) !== undefined) guess += 24;
  for (const value of Object.values((entries ?? {}) as GivenValues)) {
    guess += 20 + ((value as Given<data.ValData> | undefined)?.data instanceof Uint8Array ? Number(value.data?.length) : 0);
  }
  return guess;
}

function writeMetadata(pen: Pen, metadata: Given<data.ObjMeta> | null | undefined): boolean {
  if (metadata === undefined || metadata === null) return true;
  const { version } = metadata;
  pen.tag(10);
  const at = pen.open(0);
  if (!writeTarget(pen, metadata) || !writeOptionalText(pen, 34, metadata.objectId)) return false;
  if ((version ?? undefined) !== undefined) {
    if (!isWhole(version)) return false;
    // Field 100 has a tag of two bytes.
    pen.varint(800);
    pen.varint(version);
  }
  pen.close(at, 0);
  return true;
}

export function readValue(scanner: Scanner, end: number): data.ValData {
  let content: Buffer | undefined;
  let type = 0;
  while (scanner.more(end)) {
    switch (scanner.small()) {
      case 10:
        content = scanner.copy(end);
        break;
      case 16:
        type = scanner.small();
        break;
      default:
        scanner.giveUp();
    }
  }
  return { data: content ?? Buffer.alloc(0), type };
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
  if (value === undefined) return;
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
