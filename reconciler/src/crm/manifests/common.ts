import type { KubeObject, ResourceType } from '../../kubernetes/index.ts';
import { apiVersionOf } from '../../kubernetes/index.ts';
import {
  annotations,
  childNames,
  type DeploymentRecord,
  type GridLayout,
  labels,
  labelValue,
  managedBy,
  type TemplateSpec,
} from '../../record/index.ts';

/** Everything that manifests follow from. Manifests are functions of it: equal input gives equal objects. */
export interface RenderInput {
  readonly record: DeploymentRecord;
  readonly namespace: string;
  /** Layout that the grid is to have; not the wanted one while a change is held back. */
  readonly layout: GridLayout;
  readonly template: TemplateSpec;
  /** Variables of the environment; the record's own win. */
  readonly environment: Readonly<Record<string, string>>;
  readonly settings: RenderSettings;
  /** Volume claims of the StatefulSet that is there: Kubernetes lets nobody change them. */
  readonly existingVolumeClaims?: readonly unknown[] | undefined;
}

/** The CRM's own configuration, as far as manifests show it. */
export interface RenderSettings {
  readonly odgmImage: string;
  readonly serviceType: 'ClusterIP' | 'NodePort';
  readonly logLevel: string;
  /** Spread grid nodes over machines where possible. */
  readonly antiAffinity: boolean;
  /** Hand a grid's volume to the grid's user before it starts, by an init container that runs as root. */
  readonly volumePermissions: boolean;
  /** Grid nodes keep everything in memory, whatever the layout says. */
  readonly ephemeralGrid: boolean;
}

/** One object to apply, and the kind of thing it is. */
export interface Child {
  readonly type: ResourceType;
  readonly object: KubeObject;
}

export const ports = { grid: 8080, gridAdmin: 8081, function: 8080 } as const;

export function idOf(record: DeploymentRecord): string {
  return record.metadata.name;
}

export function namesOf(record: DeploymentRecord): ReturnType<typeof childNames> {
  return childNames(idOf(record));
}

/** Address of a Service inside the cluster. */
export function serviceAddress(name: string, namespace: string, port: number): string {
  return `${name}.${namespace}.svc:${String(port)}`;
}

export interface Part {
  /** `odgm` or `function`. */
  readonly name: string;
  /** `grid`, or a function's key. */
  readonly component: string;
  /** Name of the StatefulSet or Deployment. */
  readonly workload: string;
}

export function selectorLabels(record: DeploymentRecord, part: Part): Record<string, string> {
  return { [labels.deployment]: idOf(record), [labels.workload]: part.workload };
}

export function labelsOf(record: DeploymentRecord, part: Part): Record<string, string> {
  const { packageName, classKey } = record.spec.deploymentUnit;
  return {
    [labels.name]: part.name,
    [labels.instance]: idOf(record),
    [labels.component]: labelValue(part.component),
    [labels.partOf]: labelValue(packageName),
    [labels.managedBy]: managedBy,
    [labels.package]: labelValue(packageName),
    [labels.class]: labelValue(classKey),
    ...selectorLabels(record, part),
  };
}

/** An object with the identity, labels and owner that every child has. */
export function child(
  input: RenderInput,
  type: ResourceType,
  name: string,
  part: Part,
  body: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, string>> = {},
): Child {
  const { record, namespace } = input;
  const commit = record.spec.source?.commit;
  return {
    type,
    object: {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      metadata: {
        name,
        namespace,
        labels: labelsOf(record, part),
        annotations: { ...(commit === undefined ? {} : { [annotations.gitCommit]: commit }), ...more },
        ownerReferences: [
          {
            apiVersion: record.apiVersion,
            kind: record.kind,
            name: record.metadata.name,
            uid: record.metadata.uid ?? '',
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      },
      ...body,
    },
  };
}

export interface ResourceWish {
  readonly cpuRequest?: string | undefined;
  readonly memoryRequest?: string | undefined;
  readonly cpuLimit?: string | undefined;
  readonly memoryLimit?: string | undefined;
}

/** Resources of a container: the first wish that says something about an amount wins. */
export function resources(...wishes: readonly (ResourceWish | undefined)[]): Record<string, Record<string, string>> {
  const pick = (name: keyof ResourceWish) => wishes.find((wish) => wish?.[name] !== undefined)?.[name];
  const amounts = (cpu: string | undefined, memory: string | undefined): Record<string, string> => ({
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
  });
  const result: Record<string, Record<string, string>> = {};
  const requests = amounts(pick('cpuRequest'), pick('memoryRequest'));
  const limits = amounts(pick('cpuLimit'), pick('memoryLimit'));
  if (Object.keys(requests).length > 0) result['requests'] = requests;
  if (Object.keys(limits).length > 0) result['limits'] = limits;
  return result;
}

export function env(variables: Readonly<Record<string, string>>): { name: string; value: string }[] {
  return Object.entries(variables).map(([name, value]) => ({ name, value }));
}
