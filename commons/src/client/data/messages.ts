import type { data } from '@oaas/proto';
import type { Pen, Scanner } from '../../grpc/index.ts';
import {
  isAbsent,
  readEntry,
  readObject,
  readValue,
  writeObject,
  writeOptionalNumber,
  writeOptionalText,
  writeTarget,
  writeText,
  writeValue,
  writeValues,
} from './values.ts';

/** The codec of one type, with messages as callers give them. */
interface CodecOf<T extends object> {
  write(pen: Pen, message: Record<keyof T, unknown>): boolean;
  read(scanner: Scanner, end: number): T;
}

export const emptyResponse: CodecOf<data.EmptyResponse> = {
  write: () => true,
  read: (scanner, end) => {
    if (scanner.more(end)) scanner.giveUp();
    return {};
  },
};

export const singleObjectRequest: CodecOf<data.SingleObjectRequest> = {
  write: (pen, message) => writeTarget(pen, message) && writeOptionalText(pen, 34, message.objectId),
  read: (scanner, end) => {
    let clsId = '';
    let partitionId = 0;
    let objectId: string | undefined;
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
        default:
          scanner.giveUp();
      }
    }
    return { clsId, partitionId, legacyObjectId: undefined, objectId };
  },
};

export const setObjectRequest: CodecOf<data.SetObjectRequest> = {
  write: (pen, message) =>
    writeTarget(pen, message) && writeObject(pen, 34, message.object) && writeOptionalText(pen, 42, message.objectId),
  read: (scanner, end) => {
    let clsId = '';
    let partitionId = 0;
    let object: data.ObjData | undefined;
    let objectId: string | undefined;
    while (scanner.more(end)) {
      switch (scanner.small()) {
        case 10:
          clsId = scanner.string(end);
          break;
        case 16:
          partitionId = scanner.small();
          break;
        case 34:
          object = readObject(scanner, scanner.endOf(end));
          break;
        case 42:
          objectId = scanner.string(end);
          break;
        default:
          scanner.giveUp();
      }
    }
    return { clsId, partitionId, legacyObjectId: undefined, object, objectId };
  },
};

export const objectResponse: CodecOf<data.ObjectResponse> = {
  write: (pen, message) => writeObject(pen, 10, message.obj),
  read: (scanner, end) => {
    let obj: data.ObjData | undefined;
    while (scanner.more(end)) {
      if (scanner.small() === 10) obj = readObject(scanner, scanner.endOf(end));
      else scanner.giveUp();
    }
    return { obj };
  },
};

export const singleKeyRequest: CodecOf<data.SingleKeyRequest> = {
  write: (pen, message) =>
    isAbsent(message.legacyKey) &&
    writeTarget(pen, message) &&
    writeOptionalText(pen, 42, message.key) &&
    writeOptionalText(pen, 50, message.objectId),
  read: (scanner, end) => {
    let clsId = '';
    let partitionId = 0;
    let key: string | undefined;
    let objectId: string | undefined;
    while (scanner.more(end)) {
      switch (scanner.small()) {
        case 10:
          clsId = scanner.string(end);
          break;
        case 16:
          partitionId = scanner.small();
          break;
        case 42:
          key = scanner.string(end);
          break;
        case 50:
          objectId = scanner.string(end);
          break;
        default:
          scanner.giveUp();
      }
    }
    return { clsId, partitionId, legacyObjectId: undefined, legacyKey: undefined, key, objectId };
  },
};

export const setKeyRequest: CodecOf<data.SetKeyRequest> = {
  write: (pen, message) =>
    isAbsent(message.legacyKey) &&
    writeTarget(pen, message) &&
    writeValue(pen, 42, message.value) &&
    writeOptionalText(pen, 50, message.key) &&
    writeOptionalText(pen, 58, message.objectId),
  read: (scanner, end) => {
    let clsId = '';
    let partitionId = 0;
    let value: data.ValData | undefined;
    let key: string | undefined;
    let objectId: string | undefined;
    while (scanner.more(end)) {
      switch (scanner.small()) {
        case 10:
          clsId = scanner.string(end);
          break;
        case 16:
          partitionId = scanner.small();
          break;
        case 42:
          value = readValue(scanner, scanner.endOf(end));
          break;
        case 50:
          key = scanner.string(end);
          break;
        case 58:
          objectId = scanner.string(end);
          break;
        default:
          scanner.giveUp();
      }
    }
    return { clsId, partitionId, legacyObjectId: undefined, legacyKey: undefined, value, key, objectId };
  },
};

export const valueResponse: CodecOf<data.ValueResponse> = {
  write: (pen, { value, objectVersion, key, deleted }) => {
    if (!writeValue(pen, 10, value) || !writeOptionalNumber(pen, 16, objectVersion)) return false;
    if (!writeOptionalText(pen, 26, key)) return false;
    if (isAbsent(deleted)) return true;
    pen.tag(32);
    pen.varint(deleted === false ? 0 : 1);
    return typeof deleted === 'boolean';
  },
  read: (scanner, end) => {
    let value: data.ValData | undefined;
    let objectVersion: number | undefined;
    let key: string | undefined;
    let deleted: boolean | undefined;
    while (scanner.more(end)) {
      switch (scanner.small()) {
        case 10:
          value = readValue(scanner, scanner.endOf(end));
          break;
        case 16:
          objectVersion = scanner.large();
          break;
        case 26:
          key = scanner.string(end);
          break;
        case 32:
          deleted = scanner.small() !== 0;
          break;
        default:
          scanner.giveUp();
      }
    }
    return { value, objectVersion, key, deleted };
  },
};

export const valueEnvelope: CodecOf<data.ValueEnvelope> = {
  write: (pen, { key, value, version, nextCursor }) => {
    if (!writeText(pen, 10, key) || !writeValue(pen, 18, value)) return false;
    if (version !== 0 && !writeOptionalNumber(pen, 24, version)) return false;
    if (isAbsent(nextCursor)) return true;
    if (!(nextCursor instanceof Uint8Array)) return false;
    pen.tag(34);
    pen.bytes(nextCursor);
    return true;
  },
  read: (scanner, end) => {
    let key = '';
    let value: data.ValData | undefined;
    let version = 0;
    let nextCursor: Buffer | undefined;
    while (scanner.more(end)) {
      switch (scanner.small()) {
        case 10:
          key = scanner.string(end);
          break;
        case 18:
          value = readValue(scanner, scanner.endOf(end));
          break;
        case 24:
          version = scanner.large();
          break;
        case 34:
          nextCursor = scanner.content(end);
          break;
        default:
          scanner.giveUp();
      }
    }
    return { key, value, version, nextCursor };
  },
};

export const batchSetValuesRequest: CodecOf<data.BatchSetValuesRequest> = {
  write: (pen, message) => {
    const { objectId, values, deleteKeys = [], expectedObjectVersion } = message;
    if (!writeTarget(pen, message) || !writeOptionalText(pen, 34, objectId)) return false;
    if (!writeValues(pen, 42, values) || !Array.isArray(deleteKeys)) return false;
    for (const key of deleteKeys) if (typeof key !== 'string' || !writeOptionalText(pen, 50, key)) return false;
    return writeOptionalNumber(pen, 56, expectedObjectVersion);
  },
  read: (scanner, end) => {
    let clsId = '';
    let partitionId = 0;
    let objectId: string | undefined;
    let expectedObjectVersion: number | undefined;
    const values: Record<string, data.ValData> = {};
    const deleteKeys: string[] = [];
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
        case 42:
          readEntry(scanner, scanner.endOf(end), values);
          break;
        case 50:
          deleteKeys.push(scanner.string(end));
          break;
        case 56:
          expectedObjectVersion = scanner.large();
          break;
        default:
          scanner.giveUp();
      }
    }
    return { clsId, partitionId, objectId, values, deleteKeys, expectedObjectVersion };
  },
};
