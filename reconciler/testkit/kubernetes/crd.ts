import { columns } from './kinds/printers.ts';
import { ageOf } from './kinds/ages.ts';
import type { Column, KindRules, Printer, ResourceType, ScalePaths } from './resource.ts';
import { ANY_NODE, SchemaCompiler, type RawSchema, type SchemaNode } from './schema/schema.ts';
import { fieldErrors, type FieldError } from './status.ts';
import { isJson, listAt, numberAt, objectAt, textAt, valueAt, type Json, type KubeObject } from './types.ts';

const STORED_VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const AGE_PATH = '.metadata.creationTimestamp';

/** Rules of the kind CustomResourceDefinition itself. */
export const definitionRules: KindRules = {
  generation: true,
  defaults: (object) => {
    const names = objectAt(object.spec, 'names');
    const kind = textAt(names, 'kind') ?? '';
    if (names['singular'] === undefined || names['singular'] === '') names['singular'] = kind.toLowerCase();
    if (names['listKind'] === undefined || names['listKind'] === '') names['listKind'] = `${kind}List`;
    const spec = objectAt(object.spec);
    if (spec['conversion'] === undefined) spec['conversion'] = { strategy: 'None' };
  },
  prepareCreate: (object) => {
    const versions = listAt(object.spec, 'versions');
    const storage = versions.find((version) => objectAt(version)['storage'] === true);
    object.status = {
      conditions: [],
      acceptedNames: { plural: '', kind: '' },
      storedVersions: [textAt(storage, 'name') ?? ''],
    };
  },
  validate: definitionErrors,
};

function definitionErrors(next: KubeObject, live: KubeObject | undefined): FieldError[] {
  const found: FieldError[] = [];
  const spec = objectAt(next.spec);
  const plural = textAt(spec, 'names', 'plural') ?? '';
  const group = textAt(spec, 'group') ?? '';
  if (next.metadata.name !== `${plural}.${group}`) {
    found.push(fieldErrors.invalid('metadata.name', next.metadata.name, `must be spec.names.plural+"."+spec.group`));
  }
  const versions = listAt(spec, 'versions');
  const stored = versions.filter((version) => objectAt(version)['storage'] === true);
  if (stored.length !== 1) {
    found.push(
      fieldErrors.invalid('spec.versions', 'array', 'must have exactly one version marked as storage version'),
    );
  }
  for (const [index, version] of versions.entries()) {
    const at = `spec.versions[${String(index)}].schema.openAPIV3Schema`;
    const schema = valueAt(version, 'schema', 'openAPIV3Schema');
    if (!isJson(schema)) found.push(fieldErrors.required(at, 'schemas are required'));
    else found.push(...structuralErrors(schema, at, true));
  }
  if (live !== undefined) {
    for (const field of ['group', 'scope'] as const) {
      const before = textAt(live.spec, field);
      const after = textAt(spec, field);
      if (before !== after) found.push(fieldErrors.invalid(`spec.${field}`, after, 'field is immutable'));
    }
  }
  return found;
}

/** What makes a schema structural: every value has a type, unless it says that anything goes. */
function structuralErrors(schema: Json, path: string, isRoot = false): FieldError[] {
  const found: FieldError[] = [];
  const type = textAt(schema, 'type') ?? '';
  const isFree =
    schema['x-kubernetes-preserve-unknown-fields'] === true || schema['x-kubernetes-int-or-string'] === true;
  if (type === '' && !isFree)
    found.push(fieldErrors.required(`${path}.type`, 'must not be empty for specified object fields'));
  if (isRoot && type !== 'object') found.push(fieldErrors.invalid(`${path}.type`, type, 'must be object at the root'));
  for (const [name, field] of Object.entries(objectAt(schema, 'properties'))) {
    if (isJson(field) && !(isRoot && name === 'metadata'))
      found.push(...structuralErrors(field, `${path}.properties[${name}]`));
  }
  const values = schema['additionalProperties'];
  if (isJson(values)) found.push(...structuralErrors(values, `${path}.additionalProperties`));
  const items = schema['items'];
  if (isJson(items)) found.push(...structuralErrors(items, `${path}.items`));
  if (type === 'array' && !isJson(items)) found.push(fieldErrors.required(`${path}.items`, 'must be specified'));
  if (schema['x-kubernetes-list-type'] === 'map' && listAt(schema, 'x-kubernetes-list-map-keys').length === 0) {
    found.push(
      fieldErrors.required(`${path}.x-kubernetes-list-map-keys`, 'must be set if x-kubernetes-list-type is "map"'),
    );
  }
  return found;
}

/** The resources that a CustomResourceDefinition serves, one per served version. */
export function resourcesOf(definition: KubeObject, builtin: SchemaCompiler): ResourceType[] {
  const spec = objectAt(definition.spec);
  const group = textAt(spec, 'group') ?? '';
  const names = objectAt(spec, 'names');
  const plural = textAt(names, 'plural') ?? '';
  const versions = listAt(spec, 'versions').filter(isJson);
  const storageVersion =
    textAt(
      versions.find((version) => version['storage'] === true),
      'name',
    ) ?? '';
  return versions
    .filter((version) => version['served'] === true)
    .map((version): ResourceType => {
      const name = textAt(version, 'name') ?? '';
      const kind = textAt(names, 'kind') ?? '';
      const subresources = objectAt(version, 'subresources');
      const scale = scaleOf(subresources['scale']);
      return {
        group,
        version: name,
        plural,
        singular: textAt(names, 'singular') ?? kind.toLowerCase(),
        kind,
        listKind: textAt(names, 'listKind') ?? `${kind}List`,
        namespaced: textAt(spec, 'scope') === 'Namespaced',
        shortNames: listAt(names, 'shortNames').map(String),
        categories: listAt(names, 'categories').map(String),
        verbs: STORED_VERBS,
        subresources: new Set([
          ...(isJson(subresources['status']) ? ['status'] : []),
          ...(scale === undefined ? [] : ['scale']),
        ]),
        storage: `${group}/${plural}/`,
        storageVersion: `${group}/${storageVersion}`,
        node: nodeOf(objectAt(version, 'schema', 'openAPIV3Schema'), builtin),
        isNative: false,
        rules: selectableFields(version),
        printer: printerOf(listAt(version, 'additionalPrinterColumns')),
        ...(scale === undefined ? {} : { scale }),
        definition: definitionName(group, name, kind),
      };
    });
}

/** The name of a custom kind in the OpenAPI documents: the group reversed, the version and the kind. */
function definitionName(group: string, version: string, kind: string): string {
  return `${group.split('.').toReversed().join('.')}.${version}.${kind}`;
}

function nodeOf(schema: RawSchema, builtin: SchemaCompiler): SchemaNode {
  const node = new SchemaCompiler({}).compile({ ...schema, type: 'object' });
  node.fields.set('metadata', builtin.definition('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'));
  for (const field of ['apiVersion', 'kind']) if (!node.fields.has(field)) node.fields.set(field, { ...ANY_NODE });
  return node;
}

function scaleOf(value: unknown): ScalePaths | undefined {
  if (!isJson(value)) return undefined;
  const split = (path: string | undefined): string[] => (path ?? '').split('.').filter((part) => part !== '');
  const selector = split(textAt(value, 'labelSelectorPath'));
  return {
    specReplicasPath: split(textAt(value, 'specReplicasPath')),
    statusReplicasPath: split(textAt(value, 'statusReplicasPath')),
    ...(selector.length === 0 ? {} : { labelSelectorPath: selector }),
  };
}

function selectableFields(version: Json): KindRules {
  const paths = listAt(version, 'selectableFields')
    .map((field) => textAt(field, 'jsonPath') ?? '')
    .filter((path) => path !== '');
  if (paths.length === 0) return {};
  return {
    fields: (object) =>
      Object.fromEntries(paths.map((path) => [path.replace(/^\./, ''), text(evaluatePath(object, path)[0])])),
  };
}

function text(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function printerOf(specs: readonly unknown[]): Printer {
  if (specs.length === 0)
    return columns(
      ['Name', (object) => object.metadata.name ?? ''],
      ['Age', (object, now) => ageOf(object.metadata.creationTimestamp, now)],
    );
  const parsed = specs.filter(isJson).map((spec) => ({
    name: textAt(spec, 'name') ?? '',
    type: (textAt(spec, 'type') ?? 'string') as Column['type'],
    format: textAt(spec, 'format') ?? '',
    description: textAt(spec, 'description') ?? '',
    priority: numberAt(spec, 'priority') ?? 0,
    path: textAt(spec, 'jsonPath') ?? '',
  }));
  return {
    columns: [
      { name: 'Name', type: 'string', format: 'name', description: '', priority: 0 },
      ...parsed.map(({ name, type, format, description, priority }) => ({ name, type, format, description, priority })),
    ],
    cells: (object, now) => [object.metadata.name ?? '', ...parsed.map((column) => cell(object, column, now))],
  };
}

function cell(object: KubeObject, column: { type: string; path: string }, now: number): unknown {
  const found = evaluatePath(object, column.path);
  const value = found[0];
  if (column.type === 'date') {
    if (typeof value !== 'string') return column.path === AGE_PATH ? '<unknown>' : null;
    return ageOf(value, now);
  }
  if (value === undefined || value === null) return null;
  switch (column.type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    default:
      return found.length > 1 ? found.map(text).join(' ') : text(value);
  }
}

/**
 * Evaluates the JSONPath of a printer column: fields, quoted fields, indices, `[*]` and filters by equality
 * (`.status.conditions[?(@.type=="Ready")].status`).
 */
export function evaluatePath(object: unknown, path: string): unknown[] {
  const step =
    /\.([\w-]+(?:\\\.[\w-]+)*)|\[(\d+)\]|\[\*\]|\.\*|\[['"]([^'"]+)['"]\]|\[\?\(@\.?([\w.-]+)\s*==\s*(['"]?)([^'")]*)\5\)\]/y;
  let current: unknown[] = [object];
  let at = 0;
  while (at < path.length) {
    step.lastIndex = at;
    const match = step.exec(path);
    if (match === null) return [];
    at = step.lastIndex;
    const field = match[1]?.replaceAll('\\.', '.') ?? match[3];
    if (field !== undefined)
      current = current.flatMap((item) => (isJson(item) && item[field] !== undefined ? [item[field]] : []));
    else if (match[2] !== undefined) {
      const index = Number(match[2]);
      current = current.flatMap((item) => (Array.isArray(item) && item.length > index ? [item[index] as unknown] : []));
    } else if (match[4] !== undefined) {
      const key = match[4].split('.');
      current = current.flatMap((item) =>
        Array.isArray(item) ? (item as unknown[]).filter((entry) => text(valueAt(entry, ...key)) === match[6]) : [],
      );
    } else
      current = current.flatMap((item) =>
        Array.isArray(item) ? (item as unknown[]) : isJson(item) ? Object.values(item) : [],
      );
  }
  return current;
}

/** The status of a definition whose resources are served. */
export function establishedStatus(definition: KubeObject, now: string): Json {
  const names = objectAt(definition.spec, 'names');
  const conditions = listAt(definition.status, 'conditions').filter((item) => {
    const type = textAt(item, 'type');
    return type !== 'NamesAccepted' && type !== 'Established';
  });
  const stored = new Set(listAt(definition.status, 'storedVersions').map(String));
  for (const version of listAt(definition.spec, 'versions')) {
    if (objectAt(version)['storage'] === true) stored.add(textAt(version, 'name') ?? '');
  }
  const since = (type: string): string =>
    textAt(
      listAt(definition.status, 'conditions').find((item) => textAt(item, 'type') === type),
      'lastTransitionTime',
    ) ?? now;
  return {
    acceptedNames: names,
    conditions: [
      ...conditions,
      {
        type: 'NamesAccepted',
        status: 'True',
        lastTransitionTime: since('NamesAccepted'),
        reason: 'NoConflicts',
        message: 'no conflicts found',
      },
      {
        type: 'Established',
        status: 'True',
        lastTransitionTime: since('Established'),
        reason: 'InitialNamesAccepted',
        message: 'the initial names have been accepted',
      },
    ],
    storedVersions: [...stored],
  };
}
