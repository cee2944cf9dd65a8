/** A JSON schema as OpenAPI v3 and CustomResourceDefinitions write it, as far as it is read here. */
export interface RawSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, RawSchema>>;
  readonly required?: readonly string[];
  readonly items?: RawSchema;
  readonly additionalProperties?: RawSchema | boolean;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly RawSchema[];
  readonly anyOf?: readonly RawSchema[];
  readonly oneOf?: readonly RawSchema[];
  readonly not?: RawSchema;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-patch-strategy'?: string;
}

/**
 * A compiled schema: what every walk (decoding, defaulting, ownership, patches) needs, with references resolved.
 * Recursive definitions make cyclic graphs.
 */
export interface SchemaNode {
  shape: 'object' | 'array' | 'scalar' | 'any';
  /** For scalars: the JSON type, or `int-or-string`; for `any`: undefined. */
  scalar: 'string' | 'integer' | 'number' | 'boolean' | 'int-or-string' | 'quantity' | undefined;
  format: string | undefined;
  nullable: boolean;
  /** Declared fields of an object. */
  fields: Map<string, SchemaNode>;
  required: readonly string[];
  /** What an object's undeclared keys hold; undefined: undeclared keys are unknown. */
  values: SchemaNode | undefined;
  /** Unknown fields are kept here and below, until a schema says otherwise. */
  preserve: boolean;
  embedded: boolean;
  items: SchemaNode | undefined;
  listType: 'atomic' | 'set' | 'map';
  listKeys: readonly string[];
  atomicMap: boolean;
  patchMergeKey: string | undefined;
  patchStrategy: readonly string[];
  hasDefault: boolean;
  default: unknown;
  /** A struct that Go encodes even when it is empty; it is there before anybody sets it. */
  alwaysThere: boolean;
  raw: RawSchema;
}

/** A node without any rule: anything goes, maps are granular, lists atomic (structured-merge-diff's deduced type). */
export const ANY_NODE: SchemaNode = emptyNode('any', {});

function emptyNode(shape: SchemaNode['shape'], raw: RawSchema): SchemaNode {
  return {
    shape,
    scalar: undefined,
    format: raw.format,
    nullable: raw.nullable === true,
    fields: new Map(),
    required: raw.required ?? [],
    values: undefined,
    preserve: raw['x-kubernetes-preserve-unknown-fields'] === true,
    embedded: raw['x-kubernetes-embedded-resource'] === true,
    items: undefined,
    listType: 'atomic',
    listKeys: raw['x-kubernetes-list-map-keys'] ?? [],
    atomicMap: raw['x-kubernetes-map-type'] === 'atomic',
    patchMergeKey: raw['x-kubernetes-patch-merge-key'],
    patchStrategy: raw['x-kubernetes-patch-strategy']?.split(',') ?? [],
    hasDefault: false,
    default: undefined,
    alwaysThere: false,
    raw,
  };
}

const QUANTITY = 'io.k8s.apimachinery.pkg.api.resource.Quantity';

/** Compiles schemas; definitions are shared among all that refer to them. */
export class SchemaCompiler {
  readonly #definitions: Readonly<Record<string, RawSchema>>;
  readonly #named = new Map<string, SchemaNode>();

  constructor(definitions: Readonly<Record<string, RawSchema>>) {
    this.#definitions = definitions;
  }

  /** The compiled definition of that name. Throws when there is none. */
  definition(name: string): SchemaNode {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const raw = this.#definitions[name];
    if (raw === undefined) throw new Error(`no schema is called ${name}`);
    const node = emptyNode('any', raw);
    this.#named.set(name, node);
    Object.assign(node, this.#build(raw));
    if (name === QUANTITY) Object.assign(node, { shape: 'scalar', scalar: 'quantity' });
    return node;
  }

  compile(raw: RawSchema): SchemaNode {
    if (raw.$ref === undefined) return this.#build(raw);
    const target = this.definition(raw.$ref);
    // A definition that refers to itself is not complete yet, but its fields are filled into this very map later.
    const hasOwnFacts = Object.keys(raw).length > 1;
    if (!hasOwnFacts) return target;
    const node: SchemaNode = Object.create(target) as SchemaNode;
    node.raw = { ...target.raw, ...raw };
    this.#ownFacts(node, raw);
    return node;
  }

  #ownFacts(node: SchemaNode, raw: RawSchema): void {
    if (raw['x-kubernetes-patch-merge-key'] !== undefined) node.patchMergeKey = raw['x-kubernetes-patch-merge-key'];
    if (raw['x-kubernetes-patch-strategy'] !== undefined)
      node.patchStrategy = raw['x-kubernetes-patch-strategy'].split(',');
    if (raw['x-kubernetes-map-type'] === 'atomic') node.atomicMap = true;
    if (raw.default === undefined) return;
    if (raw.$ref !== undefined && typeof raw.default === 'object') node.alwaysThere = true;
    else {
      node.hasDefault = true;
      node.default = raw.default;
    }
  }

  #build(raw: RawSchema): SchemaNode {
    const node = emptyNode(shapeOf(raw), raw);
    if (node.shape === 'scalar') node.scalar = scalarOf(raw);
    if (raw['x-kubernetes-list-type'] === 'set' || raw['x-kubernetes-list-type'] === 'map') {
      node.listType = raw['x-kubernetes-list-type'];
    }
    for (const [name, field] of Object.entries(raw.properties ?? {})) node.fields.set(name, this.compile(field));
    if (typeof raw.additionalProperties === 'object') node.values = this.compile(raw.additionalProperties);
    else if (raw.additionalProperties === true) node.values = ANY_NODE;
    else if (
      node.shape === 'object' &&
      raw.properties === undefined &&
      node.raw.type === 'object' &&
      this.#isOpen(raw)
    ) {
      node.values = ANY_NODE;
    }
    if (raw.items !== undefined) node.items = this.compile(raw.items);
    this.#ownFacts(node, raw);
    return node;
  }

  /** Built-in definitions without any property (RawExtension, FieldsV1) hold free JSON; those of CRDs are pruned. */
  #isOpen(raw: RawSchema): boolean {
    return Object.values(this.#definitions).includes(raw);
  }
}

function shapeOf(raw: RawSchema): SchemaNode['shape'] {
  if (raw['x-kubernetes-int-or-string'] !== undefined) return 'scalar';
  switch (raw.type) {
    case 'object':
      return 'object';
    case 'array':
      return 'array';
    case 'string':
    case 'integer':
    case 'number':
    case 'boolean':
      return 'scalar';
    default:
      return raw.properties === undefined ? 'any' : 'object';
  }
}

function scalarOf(raw: RawSchema): SchemaNode['scalar'] {
  if (raw['x-kubernetes-int-or-string'] !== undefined) return 'int-or-string';
  switch (raw.type) {
    case 'integer':
    case 'number':
    case 'boolean':
      return raw.type;
    default:
      return 'string';
  }
}

/** The node of one key of an object; undefined where the schema does not know the key. */
export function childNode(node: SchemaNode, key: string): SchemaNode | undefined {
  return node.fields.get(key) ?? node.values ?? (node.preserve || node.shape === 'any' ? ANY_NODE : undefined);
}
