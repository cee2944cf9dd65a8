// Every page in both themes: something to look at (test-results/screens), nothing that assistive technology trips over, no error in the browser.
import { AxeBuilder } from '@axe-core/playwright';
import { expect, test } from '../support/platform.ts';

const pages: readonly (readonly [name: string, path: string])[] = [
  ['overview', '/'],
  ['sources', '/sources'],
  ['packages', '/packages'],
  ['deployments', '/deployments'],
  ['clusters', '/clusters'],
  ['grid', '/grid'],
  ['audit', '/audit'],
];

for (const theme of ['light', 'dark'] as const) {
  test.describe(`in the ${theme} theme`, () => {
    test.use({ colorScheme: theme });

    test('every page is clean', async ({ platform, console, page }) => {
      const errors: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(message.text());
      });
      page.on('pageerror', (error) => errors.push(error.message));
      const [record] = await platform.records({ package_name: 'counter', environment: 'cloud' });
      const id = record?.id ?? '';
      const all = [
        ...pages,
        ['source', `/sources/${platform.source}`],
        ['source-history', `/sources/${platform.source}?tab=history`],
        ['package', '/packages/counter'],
        ['deployment', `/deployments/${id}`],
        ['grid-of-counter', `/grid/cloud/${id}`],
      ] as const;
      for (const [name, path] of all) {
        await console.open(path);
        await page.waitForLoadState('load');
        await expect(page.locator('[aria-busy="true"]')).toHaveCount(0);
        await page.screenshot({ path: `test-results/screens/${theme}-${name}.png`, fullPage: true });
        const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21aa']).analyze();
        expect(violations.map((v) => `${name}: ${v.id} ${v.nodes[0]?.html ?? ''}`)).toEqual([]);
      }
      expect(errors).toEqual([]);
    });
  });
}

test('the palette goes anywhere by keyboard', async ({ platform, console, page }) => {
  await console.open('/');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill(platform.source);
  await page.getByRole('option').first().click();
  await expect(console.heading).toContainText(platform.source);
});
