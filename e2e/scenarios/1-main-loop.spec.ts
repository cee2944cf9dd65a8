// A commit becomes a running class with its grid, and the console shows it.
import { SourcePage } from '../pages/source-page.ts';
import { eventually } from '../support/eventually.ts';
import { openGrid } from '../support/grid.ts';
import { expect, test } from '../support/platform.ts';

test.describe.configure({ mode: 'serial' });

test('the seeded repository runs in both clusters', async ({ platform }) => {
  const records = await eventually(
    () => platform.records(),
    (found) => found.length >= 6 && found.every((record) => record.axes.health.status === 'Healthy'),
    { what: 'every class of the examples is healthy', withinMs: 100_000 },
  );
  expect(new Set(records.map((record) => record.target_environment))).toEqual(new Set(['cloud', 'edge']));
  expect(new Set(records.map((record) => record.package_name))).toEqual(new Set(['hello', 'counter', 'chat']));
});

test('a pushed package is seen within a second, planned, applied, and shown', async ({ platform, console, page }) => {
  const { repository } = platform;
  await console.open(`/sources/${platform.source}`);
  const sourcePage = new SourcePage(page);

  const text = repository.read('hello/package.yaml').replaceAll(/^name: hello$/gm, 'name: welcome');
  repository.write('welcome/package.yaml', text);
  const pushedAt = Date.now();
  const commit = await repository.push('Add the welcome package');
  await eventually(
    () => platform.pm.getSource(platform.source),
    (source) => source.observed_commit?.id === commit,
    { what: 'PM has the commit', withinMs: 10_000 },
  );
  test.info().annotations.push({ type: 'push to seen', description: `${Date.now() - pushedAt} ms` });
  await sourcePage.expectCommit('seen', commit);
  await sourcePage.expectCommit('applied', commit);

  const source = await platform.settled(commit);
  expect(source.plan_summary).toMatchObject({ create: 2, refused: 0, prune: 0 });
  const plan = await platform.pm.getPlan(source.plan_id ?? '');
  const created = plan.units.filter((unit) => unit.action === 'create');
  expect(created.map((unit) => unit.environment).sort()).toEqual(['cloud', 'edge']);
  expect(created.every((unit) => unit.data.shards_added > 0)).toBe(true);
  await sourcePage.showPart('Plan');
  await expect(sourcePage.unit(created[0]?.unit_id ?? '')).toBeVisible();
  await sourcePage.showPart('Documents');
  await expect(page.getByText('welcome/package.yaml:')).toBeVisible();

  for (const unit of created) {
    await eventually(
      () => platform.pm.getRecord(unit.unit_id),
      (record) => record.axes.health.status === 'Healthy' && record.axes.sync.status === 'Synced',
      { what: `${unit.unit_id} runs` },
    );
  }
  await console.open(`/deployments/${created[0]?.unit_id ?? ''}`);
  await expect(page.getByTestId('axis-sync')).toContainText('Synced');
  await expect(page.getByTestId('axis-health')).toContainText('Healthy');
  await expect(page.getByTestId('axis-data')).toBeVisible();
  await expect(page.getByTestId('axis-nfr')).toBeVisible();
});

test('objects are written, read and changed by functions, and the grid page counts them', async ({
  platform,
  console,
  page,
}) => {
  const [record] = await platform.records({ package_name: 'counter', environment: 'cloud' });
  const grid = await openGrid(platform.pm, record?.id ?? '');
  try {
    await grid.set('visits', { count: 41 });
    expect(await grid.get('visits')).toEqual({ count: 41 });
    await grid.invoke('visits', 'increment');
    expect((await grid.get('visits'))['count']).toBe(42);
    for (let i = 0; i < 8; i += 1) await grid.set(`page-${String(i)}`, { count: i });
  } finally {
    grid.close();
  }
  await console.open(`/grid/cloud/${record?.id ?? ''}`);
  await expect(page.getByRole('heading', { name: /members/i }).first()).toBeVisible();
  const view = await eventually(
    () => platform.pm.getGrid('cloud', record?.id ?? ''),
    (found) => found.collections.reduce((sum, collection) => sum + collection.total_objects, 0) === 9,
    { what: 'the grid counts nine objects' },
  );
  expect(view.members.length).toBe(2);
  expect(view.shards).toHaveLength(4);
  expect(new Set(view.shards.map((shard) => shard.leader)).size).toBe(2);
});
