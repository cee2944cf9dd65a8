import { createHash } from 'node:crypto';
import type { Registry } from '../registry.ts';
import { apiVersionOf, type ResourceType } from '../resource.ts';
import { builtinFacts } from '../kinds/builtin.ts';

import { isJson, type Json } from '../types.ts';

/**
 * OpenAPI documents of what is served, made from the compact schemas: enough for kubectl's apply, explain and
 * validation. There are no descriptions of built-in fields, and of paths only those that kubectl looks at.
 */
const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

const QUERY_NAMES = ['dryRun', 'fieldManager', 'fieldValidation', 'force', 'pretty'];

/** `GET /openapi/v3`. */
export function openApiIndex(registry: Registry): Json {
  const paths: Json = {};
  for (const path of groupVersionPaths(registry)) {
    const hash = createHash('sha256')
      .update(JSON.stringify(openApiV3(registry, path)))
      .digest('hex')
      .toUpperCase();
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
  }
  return { paths };
}

function groupVersionPaths(registry: Registry): string[] {
  return [...new Set(registry.all().map(pathOf))];
}

function pathOf(resource: ResourceType): string {
  return resource.group === '' ? `api/${resource.version}` : `apis/${resource.group}/${resource.version}`;
}

/** `GET /openapi/v3/<path>`; undefined where nothing is served there. */
export function openApiV3(registry: Registry, path: string): Json | undefined {
  const resources = registry.all().filter((resource) => pathOf(resource) === path);
  if (resources.length === 0) return undefined;
  const schemas: Json = {};
  const paths: Json = {};
  for (const resource of resources) {
    addDefinitions(resource, schemas, '#/components/schemas/');
    Object.assign(paths, pathsOf(resource, `/${path}`, v3Operation));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: builtinFacts.kubernetes },
    paths,
    components: { schemas },
  };
}

/** `GET /openapi/v2`. */
export function openApiV2(registry: Registry): Json {
  const definitions: Json = {};
  const paths: Json = {};
  for (const resource of registry.all()) {
    addDefinitions(resource, definitions, '#/definitions/');
    Object.assign(paths, pathsOf(resource, `/${pathOf(resource)}`, v2Operation));
  }
  return { swagger: '2.0', info: { title: 'Kubernetes', version: builtinFacts.kubernetes }, paths, definitions };
}

function addDefinitions(resource: ResourceType, out: Json, prefix: string): void {
  if (resource.isNative) {
    addBuiltin(resource.definition, out, prefix);
    return;
  }
  addBuiltin(OBJECT_META, out, prefix);
  const raw = resource.node.raw;
  const root = rewritten(raw, prefix) as Json;
  out[resource.definition] = {
    ...root,
    type: 'object',
    properties: {
      ...(isJson(root['properties']) ? root['properties'] : {}),
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { allOf: [{ $ref: `${prefix}${OBJECT_META}` }] },
    },
    'x-kubernetes-group-version-kind': [gvk(resource)],
  };
}

function addBuiltin(name: string, out: Json, prefix: string): void {
  if (out[name] !== undefined) return;
  const raw = builtinFacts.definitions[name];
  if (raw === undefined) return;
  out[name] = rewritten(raw, prefix);
  for (const reference of referencesOf(raw)) addBuiltin(reference, out, prefix);
}

function referencesOf(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(referencesOf);
  if (!isJson(schema)) return [];
  const own = typeof schema['$ref'] === 'string' ? [schema['$ref']] : [];
  return [...own, ...Object.values(schema).flatMap(referencesOf)];
}

function rewritten(schema: unknown, prefix: string): unknown {
  if (Array.isArray(schema)) return schema.map((item) => rewritten(item, prefix));
  if (!isJson(schema)) return schema;
  const out: Json = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$ref') continue;
    out[key] = key === 'default' || key === 'enum' ? value : rewritten(value, prefix);
  }
  const reference = schema['$ref'];
  if (typeof reference !== 'string') return out;
  return Object.keys(out).length === 0
    ? { $ref: prefix + reference }
    : { ...out, allOf: [{ $ref: prefix + reference }] };
}

function gvk(resource: ResourceType): Json {
  return { group: resource.group, version: resource.version, kind: resource.kind };
}

type Operation = (resource: ResourceType, action: string) => Json;

function pathsOf(resource: ResourceType, base: string, operation: Operation): Json {
  const collection = resource.namespaced
    ? `${base}/namespaces/{namespace}/${resource.plural}`
    : `${base}/${resource.plural}`;
  const methods = (verbs: readonly (readonly [string, string, string])[]): Json =>
    Object.fromEntries(
      verbs
        .filter(([verb]) => resource.verbs.includes(verb))
        .map(([, method, action]) => [method, operation(resource, action)]),
    );
  return {
    [collection]: methods([
      ['list', 'get', 'list'],
      ['create', 'post', 'post'],
      ['deletecollection', 'delete', 'deletecollection'],
    ]),
    [`${collection}/{name}`]: methods([
      ['get', 'get', 'get'],
      ['update', 'put', 'put'],
      ['patch', 'patch', 'patch'],
      ['delete', 'delete', 'delete'],
    ]),
  };
}

function patchTypes(resource: ResourceType): string[] {
  const types = ['application/apply-patch+yaml', 'application/json-patch+json', 'application/merge-patch+json'];
  return resource.isNative ? [...types, 'application/strategic-merge-patch+json'] : types;
}

function v3Operation(resource: ResourceType, action: string): Json {
  const schema = { $ref: `#/components/schemas/${resource.definition}` };
  const isWrite = action === 'post' || action === 'put' || action === 'patch';
  const content =
    action === 'patch'
      ? Object.fromEntries(patchTypes(resource).map((type) => [type, { schema: { type: 'object' } }]))
      : { '*/*': { schema } };
  return {
    operationId: operationId(resource, action),
    parameters: isWrite
      ? QUERY_NAMES.map((name) => ({ name, in: 'query', schema: { type: name === 'force' ? 'boolean' : 'string' } }))
      : [],
    ...(isWrite ? { requestBody: { content, required: true } } : {}),
    responses: { 200: { description: 'OK', content: { 'application/json': { schema } } } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk(resource),
  };
}

function v2Operation(resource: ResourceType, action: string): Json {
  const schema = { $ref: `#/definitions/${resource.definition}` };
  const isWrite = action === 'post' || action === 'put' || action === 'patch';
  return {
    operationId: operationId(resource, action),
    consumes: action === 'patch' ? patchTypes(resource) : ['*/*'],
    produces: ['application/json', 'application/yaml'],
    parameters: isWrite
      ? [
          { name: 'body', in: 'body', required: true, schema: action === 'patch' ? { type: 'object' } : schema },
          ...QUERY_NAMES.map((name) => ({ name, in: 'query', type: name === 'force' ? 'boolean' : 'string' })),
        ]
      : [],
    responses: { 200: { description: 'OK', schema } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk(resource),
  };
}

function operationId(resource: ResourceType, action: string): string {
  return `${action}${apiVersionOf(resource).replace(/[^A-Za-z0-9]/g, '_')}${resource.kind}`;
}
