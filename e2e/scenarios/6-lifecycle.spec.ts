// Stopping ends everything within five seconds; the next start goes on with the same data; --fresh begins anew.
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/eventually.ts';
import { openGrid } from '../support/grid.ts';
import { freePortBase } from '../support/ports.ts';
import { expect, openPlatform, test } from '../support/platform.ts';
import { isAlive } from '../support/processes.ts';
import { startSandbox } from '../sandbox/testing.ts';

const dir = path.join(fileURLToPath(new URL('../..', import.meta.url)), 'test-results', 'lifecycle');

test('a stopped sandbox leaves nothing behind and continues with its data', async () => {
  test.setTimeout(300_000);
  const portBase = await freePortBase(17_400);
  const first = await startSandbox({ dir, portBase, fresh: true });
  const readyFile = path.join(dir, 'ready.json');
  expect(statSync(readyFile).mode & 0o777).toBe(0o600);
  let platform = await openPlatform(first);
  const [record] = await eventually(
    () => platform.records({ package_name: 'counter', environment: 'edge' }),
    (found) => found.length === 1,
    { what: 'the counter has a record' },
  );
  const id = record?.id ?? '';
  let grid = await openGrid(platform.pm, id);
  await grid.set('survivor', { count: 3 });
  grid.close();
  platform.repository.remove();
  const pids = await first.pids();
  expect(pids.length).toBeGreaterThan(5);

  const stoppedIn = await first.stop();
  expect(stoppedIn).toBeLessThan(5_000);
  expect(existsSync(readyFile)).toBe(false);
  expect(pids.filter(isAlive)).toEqual([]);

  const second = await startSandbox({ dir, portBase });
  platform = await openPlatform(second);
  grid = await openGrid(platform.pm, id);
  expect(await grid.get('survivor')).toEqual({ count: 3 });
  grid.close();
  platform.repository.remove();
  await second.stop();

  const third = await startSandbox({ dir, portBase, fresh: true });
  platform = await openPlatform(third);
  grid = await openGrid(platform.pm, id);
  await expect(grid.get('survivor')).rejects.toThrow();
  grid.close();
  platform.repository.remove();
  await third.stop();
});
