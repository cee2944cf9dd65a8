import { normalise, type DecodeFindings } from '../schema/normalise.ts';
import { ANY_NODE } from '../schema/schema.ts';
import { errors } from '../status.ts';
import { apiVersionOf, type ResourceType } from '../resource.ts';
import { isJson, type Json, type KubeObject } from '../types.ts';
import type { WriteOptions } from './options.ts';

const MAX_WARNINGS = 10;

/** A decoded object, and what is to be said about it. */
export interface Decoded {
  readonly object: KubeObject;
  readonly warnings: readonly string[];
  /** Paths of the fields that were dropped. */
  readonly unknown: readonly string[];
}

/**
 * Turns a request's body into an object of the resource's type: unknown fields are dropped (or refused, as
 * fieldValidation says), for built-in kinds null is the same as absent. Throws a 400 on what cannot be decoded.
 */
export function decode(resource: ResourceType, body: unknown, options: WriteOptions): Decoded {
  if (!isJson(body)) throw errors.badRequest('the object provided is unrecognized (must be of type Object)');
  const expected = apiVersionOf(resource);
  checkType(body, resource, expected);
  const findings: DecodeFindings = { unknown: [], mistyped: [] };
  const metadata = normalise(
    body['metadata'] ?? {},
    resource.node.fields.get('metadata') ?? ANY_NODE,
    'native',
    findings,
    'metadata',
  );
  if (!isJson(metadata)) throw errors.badRequest('metadata is not an object');
  const rest: Json = { ...body };
  delete rest['metadata'];
  const value = normalise(rest, resource.node, resource.isNative ? 'native' : 'custom', findings) as Json;
  if (findings.mistyped.length > 0) {
    throw errors.badRequest(
      `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: ${findings.mistyped[0] ?? ''}`,
    );
  }
  const warnings = unknownFields(findings, resource, options);
  return {
    object: { ...value, apiVersion: expected, kind: resource.kind, metadata },
    warnings,
    unknown: findings.unknown,
  };
}

function checkType(body: Json, resource: ResourceType, expected: string): void {
  const apiVersion = body['apiVersion'];
  const kind = body['kind'];
  if (apiVersion !== undefined && apiVersion !== expected) {
    throw errors.badRequest(
      `the API version in the data (${JSON.stringify(apiVersion).replaceAll('"', '')}) does not match the expected API version (${expected})`,
    );
  }
  if (kind !== undefined && kind !== resource.kind) {
    throw errors.badRequest(
      `the kind in the data (${JSON.stringify(kind).replaceAll('"', '')}) does not match the expected kind (${resource.kind})`,
    );
  }
  if (!resource.isNative && (apiVersion === undefined || kind === undefined)) {
    throw errors.badRequest("Object 'Kind' is missing");
  }
}

function unknownFields(findings: DecodeFindings, resource: ResourceType, options: WriteOptions): string[] {
  if (findings.unknown.length === 0 || options.fieldValidation === 'Ignore') return [];
  const texts = findings.unknown.map((path) => `unknown field ${JSON.stringify(path)}`);
  if (options.fieldValidation === 'Strict') {
    throw errors.badRequest(
      `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: strict decoding error: ${texts.join(', ')}`,
    );
  }
  return texts.slice(0, MAX_WARNINGS);
}
