import type { OdgmConfig } from './config.ts';

/**
 * One setting that differs from what the node runs with. `applied`: it counts from now on. `restart`: the node goes on
 * as it was until it is started again. `kept`: what the grid has stays: a collection that left the configuration
 * may hold data, and settings of the grid count only when it is formed. `refused`: the grid does not take it.
 */
export interface ConfigChange {
  /** Name of the setting, or `collections.<name>`. */
  readonly setting: string;
  readonly effect: 'applied' | 'restart' | 'kept' | 'refused';
}

/** Collections apart: whom a node asks for its cluster (`members`), too, is settled when it starts. */
function effectOf(setting: string): ConfigChange['effect'] {
  return setting === 'settings' ? 'kept' : 'restart';
}

/** What `next` says otherwise than `running`, in the order of the settings. Values are not named: some are secret. */
export function compareConfigs(running: OdgmConfig, next: OdgmConfig): ConfigChange[] {
  const changes: ConfigChange[] = [];
  for (const [setting, value] of Object.entries(next)) {
    const before: unknown = running[setting as keyof OdgmConfig];
    if (setting === 'collections' || isSame(before, value)) continue;
    changes.push({ setting, effect: effectOf(setting) });
  }
  return [...changes, ...compareCollections(running.collections, next.collections)];
}

type Collections = OdgmConfig['collections'];

/** Collections of `next` that are new or another than in `running`. */
export function changedCollections(running: Collections, next: Collections): Collections[number][] {
  const before = new Map(running.map((collection) => [collection.name, collection]));
  return next.filter((collection) => !isSame(before.get(collection.name), collection));
}

function compareCollections(running: Collections, next: Collections): ConfigChange[] {
  const names = new Set(next.map(({ name }) => name));
  return [
    ...changedCollections(running, next).map(({ name }) => ({
      setting: `collections.${name}`,
      effect: 'applied' as const,
    })),
    ...running
      .filter(({ name }) => !names.has(name))
      .map(({ name }) => ({ setting: `collections.${name}`, effect: 'kept' as const })),
  ];
}

/** Both come from the same schema: their fields have the same order. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
