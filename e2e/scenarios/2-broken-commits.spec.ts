// A broken commit changes nothing that runs, and says where it is broken; a revert restores.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { SourcePage } from '../pages/source-page.ts';
import { examples, expect, test } from '../support/platform.ts';

interface Expected {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly code: string;
  readonly messageContains: string;
}

const refused = path.join(examples, 'refused');
const cases = readdirSync(refused, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

for (const name of cases) {
  test(`${name} is refused with its place and remedy, and nothing that runs changes`, async ({
    platform,
    console,
    page,
  }) => {
    const { repository, pm } = platform;
    const expected = parse(readFileSync(path.join(refused, name, 'expected.yaml'), 'utf8')) as Expected;
    const before = await platform.records();
    const files = readdirSync(path.join(refused, name)).filter((file) => file !== 'expected.yaml');
    repository.copy(path.join(refused, name), `broken/${name}`, files);
    const commit = await repository.push(`Break it: ${name}`);

    const source = await platform.settled(commit);
    expect(source.phase).toBe('Refused');
    const plan = await pm.getPlan(source.plan_id ?? '');
    const problem = plan.documents
      .flatMap((document) => document.problems)
      .find((found) => found.severity === 'error' && found.path === `broken/${name}/${expected.path}`);
    expect(problem).toMatchObject({ line: expected.line, column: expected.column, code: expected.code });
    // The expectation names files as they lie in the example's own folder.
    expect(problem?.message.replaceAll(`broken/${name}/`, '')).toContain(expected.messageContains);
    expect(problem?.remedy).not.toBe('');
    const { frame } = problem ?? {};
    expect(frame?.lines[expected.line - frame.line]).toBe(
      readFileSync(path.join(refused, name, expected.path), 'utf8').split('\n')[expected.line - 1],
    );

    await console.open(`/sources/${platform.source}?tab=documents`);
    const shown = new SourcePage(page);
    await expect(shown.phase).toHaveText(/refused/i);
    await expect(
      shown.problems
        .filter({ hasText: `broken/${name}/${expected.path}:${String(expected.line)}:${String(expected.column)}` })
        .first(),
    ).toBeVisible();

    const after = await platform.records();
    expect(after.map((record) => [record.id, record.desired_digest, record.observed_digest]).sort()).toEqual(
      before.map((record) => [record.id, record.desired_digest, record.observed_digest]).sort(),
    );

    const restored = await repository.revert();
    expect((await platform.settled(restored)).phase).toBe('Synced');
  });
}
