import type { Json } from './types.ts';

/** One field that was refused (field.Error of apimachinery). */
export interface FieldError {
  /** The field's path, such as `spec.containers[0].name`. */
  readonly field: string;
  /** CauseType of meta/v1: `FieldValueRequired`, `FieldValueInvalid`, ... */
  readonly reason: string;
  /** What follows the path, such as `Required value: name or generateName is required`. */
  readonly message: string;
}

export const fieldErrors = {
  required: (field: string, detail = ''): FieldError => ({
    field,
    reason: 'FieldValueRequired',
    message: `Required value${detail === '' ? '' : `: ${detail}`}`,
  }),
  invalid: (field: string, value: unknown, detail: string): FieldError => ({
    field,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${show(value)}: ${detail}`,
  }),
  type: (field: string, value: unknown, detail: string): FieldError => ({
    field,
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: ${show(value)}: ${detail}`,
  }),
  unsupported: (field: string, value: unknown, allowed: readonly unknown[]): FieldError => ({
    field,
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${show(value)}: supported values: ${allowed.map((item) => JSON.stringify(item)).join(', ')}`,
  }),
  duplicate: (field: string, value: unknown): FieldError => ({
    field,
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${show(value)}`,
  }),
  forbidden: (field: string, detail: string): FieldError => ({
    field,
    reason: 'FieldValueForbidden',
    message: `Forbidden: ${detail}`,
  }),
  tooLong: (field: string, limit: number): FieldError => ({
    field,
    reason: 'FieldValueTooLong',
    message: `Too long: may not be more than ${String(limit)} bytes`,
  }),
} as const;

function show(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(value);
}

/** meta/v1 Status. */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Json;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: string;
  details?: Json;
  code?: number;
}

/** A refusal that the API answers as a meta/v1 Status. */
export class ApiError extends Error {
  readonly status: Status;
  constructor(code: number, reason: string, message: string, details?: Json) {
    super(message);
    this.name = 'ApiError';
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === '' ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    };
  }
  get code(): number {
    return this.status.code ?? 500;
  }
  get reason(): string {
    return this.status.reason ?? '';
  }
}

/** Names a resource the way messages do: `deployments.apps`, `pods`. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

export function groupResource(resource: ResourceName): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

function groupKind(resource: ResourceName): string {
  return resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`;
}

function details(resource: ResourceName, name: string, more: Json = {}): Json {
  return { name, ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.plural, ...more };
}

export const errors = {
  badRequest: (message: string): ApiError => new ApiError(400, 'BadRequest', message),
  unauthorized: (): ApiError => new ApiError(401, 'Unauthorized', 'Unauthorized'),
  forbidden: (resource: ResourceName, name: string, message: string, causes?: readonly Json[]): ApiError =>
    new ApiError(
      403,
      'Forbidden',
      `${groupResource(resource)} ${JSON.stringify(name)} is forbidden: ${message}`,
      details(resource, name, causes === undefined ? {} : { causes }),
    ),
  notFound: (resource: ResourceName, name: string): ApiError =>
    new ApiError(
      404,
      'NotFound',
      `${groupResource(resource)} ${JSON.stringify(name)} not found`,
      details(resource, name),
    ),
  noSuchPath: (): ApiError => new ApiError(404, 'NotFound', 'the server could not find the requested resource', {}),
  methodNotAllowed: (): ApiError =>
    new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {}),
  notAcceptable: (): ApiError =>
    new ApiError(
      406,
      'NotAcceptable',
      'only the following media types are accepted: application/json, application/yaml',
    ),
  unsupportedMediaType: (allowed: readonly string[]): ApiError =>
    new ApiError(
      415,
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: ${allowed.join(', ')}`,
    ),
  tooLarge: (limit: number): ApiError =>
    new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${String(limit)}`),
  alreadyExists: (resource: ResourceName, name: string): ApiError =>
    new ApiError(
      409,
      'AlreadyExists',
      `${groupResource(resource)} ${JSON.stringify(name)} already exists`,
      details(resource, name),
    ),
  conflict: (resource: ResourceName, name: string, message: string): ApiError =>
    new ApiError(
      409,
      'Conflict',
      `Operation cannot be fulfilled on ${groupResource(resource)} ${JSON.stringify(name)}: ${message}`,
      details(resource, name),
    ),
  /** The optimistic lock's refusal. */
  modified: (resource: ResourceName, name: string): ApiError =>
    errors.conflict(
      resource,
      name,
      'the object has been modified; please apply your changes to the latest version and try again',
    ),
  invalid: (resource: ResourceName, name: string, fields: readonly FieldError[]): ApiError => {
    const lines = fields.map((field) => `${field.field}: ${field.message}`);
    const joined = lines.length === 1 ? (lines[0] ?? '') : `[${lines.join(', ')}]`;
    return new ApiError(422, 'Invalid', `${groupKind(resource)} ${JSON.stringify(name)} is invalid: ${joined}`, {
      name,
      ...(resource.group === '' ? {} : { group: resource.group }),
      kind: resource.kind,
      causes: fields.map((field) => ({ reason: field.reason, message: field.message, field: field.field })),
    });
  },
  expired: (message: string): ApiError => new ApiError(410, 'Expired', message),
  internal: (message: string): ApiError => new ApiError(500, 'InternalError', `Internal error occurred: ${message}`),
  unavailable: (message: string): ApiError => new ApiError(503, 'ServiceUnavailable', message),
} as const;

export function success(detail: Json): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: detail };
}
