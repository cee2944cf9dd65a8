import { isCollectionOption } from '@oaas/commons/config';
import type { CollectionLayout, DeploymentRecord } from '../../record/index.ts';
import { idOf, namesOf, ports, type RenderInput, serviceAddress } from './common.ts';

/** A function as the grid calls it. */
export interface Route {
  readonly url: string;
  readonly stateless: boolean;
  readonly functionKey: string;
}

/** A collection as a grid node reads it. */
export interface GridCollection extends CollectionLayout {
  readonly options: Readonly<Record<string, string>>;
  readonly invocations: {
    readonly fnRoutes: Readonly<Record<string, Route>>;
    readonly disabledFn: readonly string[];
  };
}

/** Collections with their routes: every binding of the class by the name that callers use. */
export function gridCollections(input: RenderInput): readonly GridCollection[] {
  const { record, layout, settings } = input;
  const odgm = record.spec.odgmConfig;
  // The others are the layout's, or nobody's: a grid would refuse the collection for them, with all that changes in it.
  const options = Object.fromEntries(Object.entries(odgm?.options ?? {}).filter(([name]) => isCollectionOption(name)));
  const invocations = { fnRoutes: routes(input), disabledFn: odgm?.disabledFunctions ?? [] };
  // Field by field: a layout that was read back has its fields in another order, and the text must not differ by that.
  return layout.collections.map((collection) => ({
    name: collection.name,
    classIds: collection.classIds,
    partitionCount: collection.partitionCount,
    replicaCount: collection.replicaCount,
    shardType: collection.shardType,
    durability: settings.ephemeralGrid ? 'ephemeral' : collection.durability,
    options,
    invocations,
  }));
}

function routes({ record, namespace }: RenderInput): Record<string, Route> {
  const { functions = [], functionBindings = [] } = record.spec.deploymentUnit;
  const names = namesOf(record);
  const found: Record<string, Route> = {};
  for (const binding of functionBindings) {
    const fn = functions.find((candidate) => candidate.functionKey === binding.functionKey);
    if (fn === undefined) continue;
    const port = fn.provisionConfig?.port ?? ports.function;
    found[binding.name] = {
      url: `http://${serviceAddress(names.workload(fn.functionKey), namespace, port)}`,
      stateless: binding.stateless ?? false,
      functionKey: fn.functionKey,
    };
  }
  return found;
}

/** All nodes of the grid, in the form `id=host:port;admin=host:port`. Ids are the names of the pods. */
export function gridMembers({ record, namespace, layout }: RenderInput): readonly string[] {
  const names = namesOf(record);
  return Array.from({ length: layout.nodeCount }, (_, index) => {
    const node = names.gridNode(index);
    const host = `${node}.${names.peers}`;
    const data = serviceAddress(host, namespace, ports.grid);
    return `${node}=${data};admin=${serviceAddress(host, namespace, ports.gridAdmin)}`;
  });
}

export interface GridConfig {
  readonly clusterId: string;
  readonly members: readonly string[];
  readonly collections: readonly GridCollection[];
}

/** What all nodes of the grid must agree on. */
export function gridConfig(input: RenderInput): GridConfig {
  return { clusterId: idOf(input.record), members: gridMembers(input), collections: gridCollections(input) };
}

/** Content of `odgm-config.yaml`, in that part of YAML that is JSON: it takes a twentieth of the time to write. */
export function gridConfigYaml(input: RenderInput): string {
  return `${JSON.stringify(gridConfig(input), undefined, 2)}\n`;
}

/** What triggers of the class may do; the latency asked for bounds them. */
export function eventSettings({ spec }: DeploymentRecord): Record<string, string> {
  const latencyMs = spec.nfrRequirements?.maxLatencyMs;
  const triggers = spec.odgmConfig?.eventTriggers ?? [];
  const bound = (spec.deploymentUnit.functionBindings ?? []).some((binding) => binding.triggerOnStateChange === true);
  return {
    ODGM_EVENTS_ENABLED: String(triggers.length > 0 || bound),
    ODGM_MAX_TRIGGER_DEPTH: (latencyMs ?? 1000) < 100 ? '5' : '10',
    ODGM_TRIGGER_TIMEOUT_MS: latencyMs === undefined ? '5000' : String(Math.max(1000, Math.floor(latencyMs / 2))),
  };
}
