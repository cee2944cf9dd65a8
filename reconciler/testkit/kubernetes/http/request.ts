import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { decodeProtobuf, protobufMediaType } from '../protobuf/decode.ts';
import { errors } from '../status.ts';
import { isJson } from '../types.ts';
import type { DeleteOptions, ListOptions, WatchOptions, WriteOptions } from '../api/options.ts';

/** Bodies above this size are refused with 413, as etcd's limit makes a real server do. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** Reads a request's body. Throws a 413 above 3 MiB. */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    });
    request.once('end', () => {
      if (size > MAX_BODY_BYTES) reject(errors.tooLarge(MAX_BODY_BYTES));
      else resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
    request.once('error', reject);
  });
}

/** Parses a body as JSON, or as YAML or protobuf where the media type says so. Throws a 400 on what is none of them. */
export function parseBody(body: Buffer, mediaType: string): unknown {
  if (mediaType === protobufMediaType) {
    try {
      return decodeProtobuf(body);
    } catch (error) {
      throw errors.badRequest(`the object provided is not valid protobuf: ${(error as Error).message}`);
    }
  }
  if (mediaType !== '' && !/json|yaml|\*/.test(mediaType))
    throw errors.unsupportedMediaType(['application/json', 'application/yaml', protobufMediaType]);
  const text = body.toString('utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!mediaType.includes('yaml'))
      throw errors.badRequest(`the object provided is not valid JSON: ${(error as Error).message}`);
  }
  try {
    return parseYaml(text);
  } catch (error) {
    throw errors.badRequest(`error decoding YAML: ${(error as Error).message}`);
  }
}

export function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
}

export function writeOptions(
  query: URLSearchParams,
  request: IncomingMessage,
  subresource?: 'status' | 'scale',
): WriteOptions {
  const validation = query.get('fieldValidation');
  if (
    validation !== null &&
    validation !== '' &&
    validation !== 'Strict' &&
    validation !== 'Warn' &&
    validation !== 'Ignore'
  ) {
    throw errors.badRequest(
      `fieldValidation: Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Strict", "Warn"`,
    );
  }
  const manager = query.get('fieldManager') ?? '';
  return {
    dryRun: isDryRun(query.getAll('dryRun')),
    fieldManager: manager === '' ? defaultManager(request.headers['user-agent']) : manager,
    ...(validation === null || validation === '' ? {} : { fieldValidation: validation }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

/** Whom fields belong to when the request does not say: the program before the slash of the User-Agent. */
function defaultManager(userAgent: string | undefined): string {
  const name = (userAgent ?? '').split('/')[0]?.trim() ?? '';
  return name === '' ? 'unknown' : name.slice(0, 128);
}

function isDryRun(values: readonly unknown[]): boolean {
  for (const value of values) {
    if (value !== 'All')
      throw errors.badRequest(`dryRun: Unsupported value: ${JSON.stringify(value)}: supported values: "All"`);
  }
  return values.length > 0;
}

export function deleteOptions(query: URLSearchParams, body: unknown): DeleteOptions {
  const given = isJson(body) ? body : {};
  const dryRun = [...query.getAll('dryRun'), ...(Array.isArray(given['dryRun']) ? (given['dryRun'] as unknown[]) : [])];
  const grace = given['gracePeriodSeconds'] ?? numberOrNull(query.get('gracePeriodSeconds'));
  const preconditions = isJson(given['preconditions']) ? given['preconditions'] : {};
  const orphan = given['orphanDependents'] ?? boolOrNull(query.get('orphanDependents'));
  const policy =
    policyOf(given['propagationPolicy'] ?? query.get('propagationPolicy')) ?? (orphan === true ? 'Orphan' : undefined);
  const { uid, resourceVersion } = preconditions;
  return {
    dryRun: isDryRun(dryRun),
    ...(typeof grace === 'number' ? { gracePeriodSeconds: grace } : {}),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    preconditions: {
      ...(typeof uid === 'string' ? { uid } : {}),
      ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
    },
  };
}

function policyOf(value: unknown): DeleteOptions['propagationPolicy'] {
  if (value === undefined || value === null || value === '') return undefined;
  if (value === 'Background' || value === 'Foreground' || value === 'Orphan') return value;
  throw errors.badRequest(
    `propagationPolicy: Unsupported value: ${JSON.stringify(value)}: supported values: "Foreground", "Background", "Orphan"`,
  );
}

function numberOrNull(text: string | null): number | null {
  return text === null || text === '' ? null : Number(text);
}

function boolOrNull(text: string | null): boolean | null {
  return text === null ? null : text === 'true' || text === '1' || text === '';
}

function optional(query: URLSearchParams, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (query.has(name) ? [[name, query.get(name) ?? '']] : [])));
}

export function listOptions(query: URLSearchParams): ListOptions {
  const limit = query.get('limit');
  if (limit !== null && !/^\d*$/.test(limit)) throw errors.badRequest(`limit: Invalid value: ${JSON.stringify(limit)}`);
  return {
    ...optional(query, ['labelSelector', 'fieldSelector', 'continue', 'resourceVersion', 'resourceVersionMatch']),
    ...(limit === null ? {} : { limit: Number(limit) }),
  };
}

export function watchOptions(query: URLSearchParams): WatchOptions {
  const sendInitialEvents = boolOrNull(query.get('sendInitialEvents'));
  return {
    ...optional(query, ['labelSelector', 'fieldSelector', 'resourceVersion', 'resourceVersionMatch']),
    allowWatchBookmarks: boolOrNull(query.get('allowWatchBookmarks')) === true,
    ...(sendInitialEvents === null ? {} : { sendInitialEvents }),
  };
}

export function isWatch(query: URLSearchParams): boolean {
  return boolOrNull(query.get('watch')) === true;
}
