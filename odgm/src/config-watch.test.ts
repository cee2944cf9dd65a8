import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@oaas/commons/telemetry';
import { simulatedTime, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GridNode } from './node/index.ts';
import { loadOdgmConfig, type OdgmConfig } from './config.ts';
import { ConfigWatch } from './config-watch.ts';
import { startNode } from '../testkit/index.ts';

let directory: TempDir;
let file: string;
let applied: string[][];
let addedNames: string[];
let refusals: Map<string, string>;
let logged: { level: string; message: string }[];
let watch: ConfigWatch;

beforeEach(async () => {
  directory = await tempDir();
  file = join(directory.path, 'odgm-config.yaml');
  applied = [];
  addedNames = [];
  refusals = new Map();
  logged = [];
});
afterEach(async () => {
  watch.stop();
  await directory.remove();
});

const load = (): OdgmConfig => loadOdgmConfig({ ODGM_CONFIG: file, ODGM_NODE_ID: 'n1' }, []).config;

function started(apply: (names: string[]) => Promise<void> = () => Promise.resolve(), node?: GridNode): void {
  const time = simulatedTime();
  const log = (level: string) => (_: unknown, message: string) => void logged.push({ level, message });
  watch = new ConfigWatch({
    file,
    running: load(),
    read: () => readFile(file, 'utf8'),
    load,
    apply: async (collections, added) => {
      const names = collections.map(({ name }) => name);
      await apply(names);
      await node?.putCollections(collections, added);
      applied.push(names);
      addedNames.push(...added);
    },
    refusalOf: (name) => refusals.get(name) ?? node?.refusalOf(name),
    clock: time.clock,
    timers: time.timers,
    logger: { info: log('info'), error: log('error') } as unknown as Logger,
  });
}

function text(collections: Record<string, number>, rest = ''): string {
  const rows = Object.entries(collections).map(([name, count]) => `  - { name: ${name}, partitionCount: ${count} }`);
  return `collections:\n${rows.join('\n')}\n${rest}`;
}

describe('a configuration file that changes', () => {
  it('has its new and changed collections applied, and says what waits for a restart', async () => {
    await writeFile(file, text({ a: 1, b: 1 }));
    started();
    await watch.look();
    expect(applied).toEqual([]);
    await writeFile(file, text({ a: 1, b: 2, c: 1 }, 'maxSessions: 9\n'));
    await watch.look();
    expect(applied).toEqual([['b', 'c']]);
    expect(addedNames).toEqual(['c']);
    expect(watch.status).toMatchObject({ needsRestart: ['maxSessions'], problem: undefined });
    expect(watch.status.changedAt).toBeDefined();
    await writeFile(file, text({ a: 1, b: 2, c: 1 }));
    await watch.look();
    expect(watch.status.needsRestart).toEqual([]);
  });

  it('says that other members count only after a restart, since a node settles at its start whom it asks', async () => {
    await writeFile(file, text({ a: 1 }, 'members: [n1=h1:1]\n'));
    started();
    await watch.look();
    await writeFile(file, text({ a: 1 }, 'members: [n1=h1:1, n2=h2:1]\n'));
    await watch.look();
    expect(watch.status).toMatchObject({ changed: { applied: [], restart: ['members'] }, needsRestart: ['members'] });
  });

  it('is refused when its members are malformed, although they would be asked only at the next start', async () => {
    await writeFile(file, text({ a: 1 }, 'members: [n1=h1:1]\n'));
    started();
    await watch.look();
    await writeFile(file, text({ a: 1 }, 'members: [n1=h1:1, n2=h2]\n'));
    await watch.look();
    expect(watch.status).toMatchObject({ needsRestart: [], problem: expect.stringContaining('n2=h2') as string });
  });

  it('is refused as a whole when any of it is wrong, and what was keeps counting', async () => {
    await writeFile(file, text({ a: 1 }));
    started();
    await watch.look();
    await writeFile(file, text({ a: 1, b: 1 }, 'maxSesions: 9\n'));
    await watch.look();
    await watch.look();
    expect(applied).toEqual([]);
    expect(watch.status.problem).toContain('not valid');
    expect(logged.filter(({ level }) => level === 'error')).toHaveLength(1);
    await writeFile(file, text({ a: 1, b: 1 }));
    await watch.look();
    expect(applied).toEqual([['b']]);
    expect(watch.status.problem).toBeUndefined();
  });

  it('says what the grid refuses of it, and asks again with the next change', async () => {
    await writeFile(file, text({ a: 1, b: 1 }));
    started((names) => {
      if (names.includes('a')) refusals.set('a', 'partition count stays 1');
      return Promise.resolve();
    });
    await watch.look();
    await writeFile(file, text({ a: 2, b: 2 }, 'maxSessions: 9\n'));
    await watch.look();
    const refused = [{ setting: 'collections.a', reason: 'partition count stays 1' }];
    const changed = { applied: ['collections.b'], refused: ['collections.a'], restart: ['maxSessions'], kept: [] };
    expect(watch.status).toMatchObject({ refused, changed, problem: 'collections.a: partition count stays 1' });
    await watch.look();
    expect(watch.status.problem).toBeDefined();
    await writeFile(file, text({ a: 2, b: 3 }, 'maxSessions: 9\n'));
    await watch.look();
    expect(applied).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
    expect(watch.status).toMatchObject({ refused, changed: { applied: ['collections.b'], refused: [] } });
    refusals.clear();
    expect(watch.status).toMatchObject({ refused: [], problem: undefined });
  });

  it('keeps a collection that is in it no more, since it may hold objects', async () => {
    await writeFile(file, text({ a: 1, b: 1 }));
    started();
    await writeFile(file, text({ a: 1 }));
    await watch.look();
    expect(applied).toEqual([[]]);
    expect(watch.status.needsRestart).toEqual([]);
  });

  it('is tried again when its change could not be applied', async () => {
    await writeFile(file, text({ a: 1 }));
    let failures = 1;
    started(() => (failures-- > 0 ? Promise.reject(new Error('no leader')) : Promise.resolve()));
    await writeFile(file, text({ a: 1, b: 1 }));
    await watch.look();
    expect(watch.status.problem).toBe('no leader');
    await watch.look();
    expect(applied).toEqual([['b']]);
    expect(watch.status.problem).toBeUndefined();
  });

  it('is seen where a volume exchanges the folder above it, as that of a ConfigMap does', async () => {
    const data = async (name: string, content: string): Promise<void> => {
      await mkdir(join(directory.path, name));
      await writeFile(join(directory.path, name, 'odgm-config.yaml'), content);
      await symlink(name, join(directory.path, '..data_tmp'));
      await rename(join(directory.path, '..data_tmp'), join(directory.path, '..data'));
    };
    await data('v1', text({ a: 1 }));
    await symlink(join('..data', 'odgm-config.yaml'), file);
    started();
    await watch.look();
    await data('v2', text({ a: 1, b: 1 }));
    await watch.look();
    expect(applied).toEqual([['b']]);
  });

  it('that cannot be read for a moment changes nothing', async () => {
    await writeFile(file, text({ a: 1 }));
    started();
    await watch.look();
    await rename(file, `${file}.gone`);
    await watch.look();
    expect(watch.status.problem).toContain('ENOENT');
    await rename(`${file}.gone`, file);
    await watch.look();
    expect(watch.status.problem).toBeUndefined();
    expect(applied).toEqual([]);
  });
});

describe('a node whose configuration file changes', () => {
  it('says what the grid refuses of it, until the file is again as the grid has it', async () => {
    await writeFile(file, text({ a: 1 }));
    const { collections } = load();
    const node = await startNode({ dataDir: join(directory.path, 'data'), collections });
    try {
      started(() => Promise.resolve(), node.program.node);
      await writeFile(file, text({ a: 2 }));
      await watch.look();
      expect(watch.status).toMatchObject({
        changed: { applied: [], refused: ['collections.a'] },
        problem: expect.stringContaining('collections.a: ') as string,
      });
      await writeFile(file, 'collections: [{ name: a, options: { maxValueByte: 5 } }]');
      await watch.look();
      expect(watch.status.changed).toMatchObject({ applied: [], refused: ['collections.a'] });
      expect(watch.status.problem).toContain('did you mean "maxValueBytes"?');
      expect(node.program.node.meta?.state.collections.get('a')?.spec.options).toEqual({});
      await writeFile(file, text({ a: 1, b: 1 }));
      await watch.look();
      expect(watch.status).toMatchObject({ problem: undefined, refused: [] });
      expect(watch.status.changed?.applied).toEqual(['collections.a', 'collections.b']);
    } finally {
      await node.stop();
    }
  });
});
