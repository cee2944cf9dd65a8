import type { FieldError } from './status.ts';
import type { SchemaNode } from './schema/schema.ts';
import type { KubeObject } from './types.ts';

/** What a kind's own rules may ask of the server. */
export interface KindContext {
  /** RFC 3339 with seconds. */
  readonly now: () => string;
  readonly uid: () => string;
  /** A free address of the service range; it is text only, nothing listens there. Throws when the range is used up. */
  readonly allocateClusterIp: () => string;
  readonly allocateNodePort: () => number;
  readonly isClusterIpTaken: (address: string) => boolean;
  readonly isNodePortTaken: (port: number) => boolean;
  /** Throws the 422 that refuses the object. */
  readonly refuse: (object: KubeObject, fields: readonly FieldError[]) => never;
}

/** What a built-in kind does beyond its schema. Every hook is optional. */
export interface KindRules {
  /** Sets defaults, in place. Runs on every write. */
  readonly defaults?: (object: KubeObject) => void;
  /** Fills in what the server decides at creation, in place. */
  readonly prepareCreate?: (object: KubeObject, context: KindContext) => void;
  /** Carries over what the server decided before, in place. */
  readonly prepareUpdate?: (next: KubeObject, live: KubeObject, context: KindContext) => void;
  readonly validate?: (next: KubeObject, live: KubeObject | undefined) => FieldError[];
  /** Fields for field selectors beside metadata.name and metadata.namespace. */
  readonly fields?: (object: KubeObject) => Record<string, string>;
  /** Whether metadata.generation counts changes of the spec. Default: false. */
  readonly generation?: boolean;
  /** Whether an update of an object that does not exist creates it. Default: false. */
  readonly createOnUpdate?: boolean;
  /** How names are checked. Default: DNS-1123 subdomain. */
  readonly names?: 'subdomain' | 'label' | 'service' | 'path';
  /** Seconds to wait with the removal, given what the client asked. Default: none. */
  readonly gracePeriod?: (object: KubeObject, asked: number | undefined) => number;
  /** A delete answers with the object instead of a Status. */
  readonly answersDeleted?: boolean;
}

/** One column of a table. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, 1 only with `-o wide`. */
  readonly priority: number;
}

/** How a kind is printed. */
export interface Printer {
  readonly columns: readonly Column[];
  readonly cells: (object: KubeObject, now: number) => unknown[];
}

/** How an object is changed between its stored form and the version that is served. */
export interface Conversion {
  readonly toStorage: (object: KubeObject) => KubeObject;
  readonly fromStorage: (object: KubeObject) => KubeObject;
}

/** The paths of the scale subresource. */
export interface ScalePaths {
  readonly specReplicasPath: readonly string[];
  readonly statusReplicasPath: readonly string[];
  readonly labelSelectorPath?: readonly string[];
}

/** One resource in one version, as it is served. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  readonly subresources: ReadonlySet<string>;
  /** Prefix of the keys in the store: `<group>/<plural>/`. */
  readonly storage: string;
  /** apiVersion of the stored objects. */
  readonly storageVersion: string;
  readonly node: SchemaNode;
  /** Built-in, decoded the way Go decodes structs; false: a custom resource. */
  readonly isNative: boolean;
  readonly rules: KindRules;
  readonly printer: Printer;
  readonly conversion?: Conversion;
  readonly scale?: ScalePaths;
  /** Name of its definition in the OpenAPI documents. */
  readonly definition: string;
}

export function apiVersionOf(resource: { readonly group: string; readonly version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

export function keyOf(resource: ResourceType, namespace: string, name: string): string {
  return `${resource.storage}${namespace}/${name}`;
}

/** The namespace and name in a store key. */
export function splitKey(key: string): { storage: string; namespace: string; name: string } {
  const [group = '', plural = '', namespace = '', ...name] = key.split('/');
  return { storage: `${group}/${plural}/`, namespace, name: name.join('/') };
}
