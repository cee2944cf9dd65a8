import { z } from 'zod';
import { group, version } from './identity.ts';
import { environmentSpecSchema, recordSpecSchema, recordStatusSchema, templateSpecSchema } from './schema.ts';

/** A manifest of apiextensions.k8s.io/v1. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>>;
}

interface Column {
  readonly name: string;
  readonly type: 'string' | 'date';
  readonly jsonPath: string;
  readonly priority?: 1;
  readonly description?: string;
}

const ready = (field: 'status' | 'message') => `.status.conditions[?(@.type=="Ready")].${field}`;
const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

const recordColumns: readonly Column[] = [
  { name: 'Package', type: 'string', jsonPath: '.spec.deploymentUnit.packageName' },
  { name: 'Class', type: 'string', jsonPath: '.spec.deploymentUnit.classKey' },
  { name: 'Env', type: 'string', jsonPath: '.spec.targetEnvironment' },
  { name: 'Revision', type: 'string', jsonPath: '.status.revision', description: 'Commit that the children come from' },
  { name: 'Health', type: 'string', jsonPath: '.status.health' },
  { name: 'Ready', type: 'string', jsonPath: ready('status') },
  { name: 'Status', type: 'string', jsonPath: ready('message') },
  age,
  { name: 'Phase', type: 'string', jsonPath: '.status.phase', priority: 1 },
  { name: 'Grid', type: 'string', jsonPath: '.status.odgmClusterStatus.summary', priority: 1 },
  { name: 'Template', type: 'string', jsonPath: '.status.selectedTemplate', priority: 1 },
];

/** The CRDs of the platform, in the order in which they are applied. */
export function customResourceDefinitions(): readonly CustomResourceDefinition[] {
  return [
    definition({
      kind: 'DeploymentRecord',
      shortNames: ['dr'],
      spec: recordSpecSchema,
      status: recordStatusSchema,
      columns: recordColumns,
    }),
    definition({
      kind: 'DeploymentTemplate',
      shortNames: ['dt'],
      spec: templateSpecSchema,
      columns: [{ name: 'Type', type: 'string', jsonPath: '.spec.templateType' }, age],
    }),
    definition({
      kind: 'EnvironmentConfig',
      shortNames: ['ec'],
      spec: environmentSpecSchema,
      columns: [{ name: 'Template', type: 'string', jsonPath: '.spec.defaultTemplate' }, age],
    }),
  ];
}

interface Input {
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly spec: z.ZodType;
  readonly status?: z.ZodType;
  readonly columns: readonly Column[];
}

function definition(input: Input): CustomResourceDefinition {
  const singular = input.kind.toLowerCase();
  const plural = `${singular}s`;
  const properties: Record<string, Schema> = {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec: structural(input.spec),
  };
  // kstatus takes a resource without conditions for done. The default says "not looked at yet" before any controller can.
  if (input.status !== undefined)
    properties['status'] = { ...structural(input.status), default: { observedGeneration: -1 } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels: { 'app.kubernetes.io/part-of': 'oaas' } },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind: input.kind,
        listKind: `${input.kind}List`,
        plural,
        singular,
        shortNames: input.shortNames,
        categories: ['oaas'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          ...(input.status === undefined ? {} : { subresources: { status: {} } }),
          additionalPrinterColumns: input.columns,
          schema: { openAPIV3Schema: { type: 'object', required: ['spec'], properties } },
        },
      ],
    },
  };
}

interface Schema {
  [keyword: string]: unknown;
}

/** Keywords that a structural schema of Kubernetes may not have, or that say nothing there. */
const dropped = new Set(['$schema', 'additionalItems', 'propertyNames']);

function structural(schema: z.ZodType): Schema {
  const rendered: unknown = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline' });
  return clean(rendered) as Schema;
}

function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !dropped.has(name));
  const schema: Schema = Object.fromEntries(entries.map(([name, inner]) => [name, clean(inner)]));
  if (schema['type'] === 'integer') {
    schema['format'] = 'int64';
    // zod writes the safe integers of JavaScript as bounds: noise, and not a rule of ours.
    if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum'];
    if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum'];
  }
  if (isConditions(schema)) {
    schema['x-kubernetes-list-type'] = 'map';
    schema['x-kubernetes-list-map-keys'] = ['type'];
  }
  return schema;
}

function isConditions(schema: Schema): boolean {
  const items = schema['items'] as { properties?: Record<string, unknown> } | undefined;
  return schema['type'] === 'array' && items?.properties?.['lastTransitionTime'] !== undefined;
}
