// What leaves Git is removed only by policy, and never while its shards hold objects, unless confirmed.
import { eventually } from '../support/eventually.ts';
import { openGrid } from '../support/grid.ts';
import { expect, test } from '../support/platform.ts';

test.describe.configure({ mode: 'serial' });

test('a package without objects is removed when it leaves the repository', async ({ platform }) => {
  const text = platform.repository.read('hello/package.yaml').replaceAll(/^name: hello$/gm, 'name: passing');
  platform.repository.write('passing/package.yaml', text);
  await platform.settled(await platform.repository.push('Add the passing package'));
  const added = await eventually(
    () => platform.records({ package_name: 'passing' }),
    (found) => found.length === 2 && found.every((record) => record.axes.data.status === 'Healthy'),
    { what: 'the passing package runs with its grid' },
  );
  await platform.settled(await platform.repository.revert());
  await eventually(
    () => platform.records({ package_name: 'passing' }),
    (found) => found.length === 0,
    { what: `${added.length} records are gone` },
  );
});

test('a class whose shards hold objects is held until its text is typed', async ({ platform, console, page }) => {
  const text = platform.repository.read('counter/package.yaml').replaceAll(/^name: counter$/gm, 'name: ledger');
  platform.repository.write('ledger/package.yaml', text.replace('target_envs: [cloud, edge]', 'target_envs: [cloud]'));
  await platform.settled(await platform.repository.push('Add the ledger package'));
  const [record] = await eventually(
    () => platform.records({ package_name: 'ledger' }),
    (found) => found.length === 1,
    { what: 'the ledger has a record' },
  );
  const id = record?.id ?? '';
  const grid = await openGrid(platform.pm, id);
  await grid.set('entry-1', { count: 7 });

  await platform.repository.revert();
  const held = await eventually(
    () => platform.pm.getRecord(id),
    (found) => found.hold !== null,
    { what: 'the prune is held' },
  );
  expect(held.hold?.reason).toContain('1 object');
  expect(await grid.get('entry-1')).toEqual({ count: 7 });
  grid.close();

  await console.open(`/deployments/${id}`);
  await page.getByRole('button', { name: 'Review and confirm' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Type this text to confirm').fill('not this');
  await expect(dialog.getByRole('button', { name: 'Confirm' })).toBeDisabled();
  await dialog.getByLabel('Type this text to confirm').fill(held.hold?.confirm ?? '');
  await dialog.getByRole('button', { name: 'Confirm' }).click();
  await eventually(
    () => platform.records({ package_name: 'ledger' }),
    (found) => found.length === 0,
    { what: 'the confirmed prune is done' },
  );
});
