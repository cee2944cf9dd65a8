// The repository checks itself: what its documents say is true of its folders, and its dependencies run where it says it runs.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import semver from 'semver';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

function folders(path: string): string[] {
  if (!existsSync(join(root, path))) return [];
  return readdirSync(join(root, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules' && entry.name !== 'dist')
    .map((entry) => entry.name);
}

/** Every `code` span of the rooms table's first column, with its package in front. */
function roomsInArchitecture(): Set<string> {
  const table = /## The rooms\n([\s\S]*?)\n## /.exec(read('ARCHITECTURE.md'))?.[1] ?? '';
  const rooms = new Set<string>();
  for (const line of table.split('\n')) {
    const first = /^\| (.*?) \|/.exec(line)?.[1] ?? '';
    let base = '';
    for (const [, span] of first.matchAll(/`([^`]+)`/g)) {
      if (span === undefined) continue;
      const path = span.replace(/\/$/, '');
      if (path.includes('/')) base = path.startsWith('src/') ? base : path.slice(0, path.lastIndexOf('/'));
      const whole =
        path.includes('/') && !path.startsWith('src/')
          ? path
          : path.startsWith('src/')
            ? `${base.split('/')[0] ?? ''}/${path}`
            : base === ''
              ? path
              : `${base}/${path}`;
      rooms.add(whole);
    }
  }
  return rooms;
}

describe('ARCHITECTURE.md', () => {
  const rooms = roomsInArchitecture();

  it('names only rooms that exist', () => {
    expect([...rooms].filter((room) => !existsSync(join(root, room)))).toEqual([]);
  });

  it.each(['commons/src', 'reconciler/src', 'odgm/src', 'console/src'])('names every room of %s', (base) => {
    expect(folders(base).filter((name) => !rooms.has(`${base}/${name}`))).toEqual([]);
  });
});

describe('package-lock.json', () => {
  interface Lock {
    packages: Record<
      string,
      { version?: string; resolved?: string; link?: boolean; engines?: { node?: string }; os?: string[] }
    >;
  }
  const lock = JSON.parse(read('package-lock.json')) as Lock;

  it.each(['20.19.0', '24.0.0', '26.0.0'])('holds no package that Node %s may not run', (node) => {
    const refused = Object.entries(lock.packages)
      // Binaries of other operating systems are never installed here.
      .filter(([, entry]) => entry.os === undefined || entry.os.includes('linux') || entry.os.includes('darwin'))
      .filter(([, entry]) => entry.engines?.node !== undefined && !semver.satisfies(node, entry.engines.node))
      .map(([name, entry]) => `${name} ${entry.version ?? ''} wants ${entry.engines?.node ?? ''}`);
    expect(refused).toEqual([]);
  });

  it('names no download address, so that any registry will do', () => {
    const addressed = Object.entries(lock.packages).filter(
      ([, entry]) => entry.link !== true && entry.resolved?.startsWith('http') === true,
    );
    expect(addressed.map(([name]) => name)).toEqual([]);
  });
});
