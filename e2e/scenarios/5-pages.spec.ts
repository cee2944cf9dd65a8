// Every page in both themes: something to look at (test-results/screens), nothing that assistive technology trips over, no error in the browser.
import { AxeBuilder } from '@axe-core/playwright';
import { expect, test } from '../support/platform.ts';

/** Paths may name `{source}` and `{id}`, the record of the counter in the cloud. */
const pages: readonly (readonly [name: string, path: string])[] = [
  ['overview', '/'],
  ['sources', '/sources'],
  ['source', '/sources/{source}'],
  ['source-documents', '/sources/{source}?tab=documents'],
  ['source-history', '/sources/{source}?tab=history'],
  ['packages', '/packages'],
  ['package', '/packages/counter'],
  ['deployments', '/deployments'],
  ['deployment', '/deployments/{id}'],
  ['clusters', '/clusters'],
  ['grid', '/grid'],
  ['grid-of-counter', '/grid/cloud/{id}'],
  ['audit', '/audit'],
];

for (const theme of ['light', 'dark'] as const) {
  test.describe(`in the ${theme} theme`, () => {
    test.use({ colorScheme: theme });

    for (const [name, path] of pages) {
      test(`the page ${name} is clean`, async ({ platform, console, page }) => {
        const errors: string[] = [];
        page.on('console', (message) => {
          if (message.type() === 'error') errors.push(message.text());
        });
        page.on('pageerror', (error) => errors.push(error.message));
        const [record] = await platform.records({ package_name: 'counter', environment: 'cloud' });
        await console.open(path.replace('{source}', platform.source).replace('{id}', record?.id ?? ''));
        await console.loaded();
        await page.screenshot({ path: `test-results/screens/${theme}-${name}.png`, fullPage: true });
        const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21aa']).analyze();
        expect(violations.map((found) => `${found.id}: ${found.nodes[0]?.html ?? ''}`)).toEqual([]);
        expect(errors).toEqual([]);
      });
    }
  });
}

test('the palette goes anywhere by keyboard', async ({ platform, console, page }) => {
  await console.open('/');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill(platform.source);
  await page.getByRole('option').first().click();
  await expect(console.heading).toContainText(platform.source);
});
