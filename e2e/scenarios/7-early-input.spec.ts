// A page is used before its scripts run: what is typed and pressed then counts, and the sign-in needs no scripts at all.
import type { Page } from '@playwright/test';
import { Console } from '../pages/console.ts';
import { expect, test } from '../support/platform.ts';

/** Lets the page's scripts through only once `release` is called: a slow machine or a slow line. */
async function holdScripts(page: Page): Promise<{ release(): void }> {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route('**/_next/static/**/*.js', async (route) => {
    await released;
    await route.continue();
  });
  return { release };
}

/** Scripts do not block this: they are loaded beside the page. */
const early = { waitUntil: 'commit' } as const;

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('the sign-in refuses a wrong password and leads on with the right one', async ({ platform, page }) => {
    const { url, user, password } = platform.sandbox.ready.console;
    await page.goto(`${url}/sources`);
    await page.getByLabel('User').fill(user);
    await page.getByLabel('Password').fill('a guess');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page.getByText('password is wrong')).toBeVisible();
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page).toHaveURL(`${url}/sources`);
    await expect(page.getByRole('navigation', { name: 'Main' })).toBeVisible();
  });
});

test('who is faster than the scripts of the sign-in signs in', async ({ platform, page }) => {
  const { url, user, password } = platform.sandbox.ready.console;
  const scripts = await holdScripts(page);
  await page.goto(`${url}/sign-in`, early);
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL(`${url}/`);
  scripts.release();
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
});

test('what is typed into the sign-in stays when its scripts come', async ({ platform, page }) => {
  const { url, password } = platform.sandbox.ready.console;
  const scripts = await holdScripts(page);
  await page.goto(`${url}/sign-in`, early);
  await page.getByLabel('User').fill('somebody');
  await page.getByLabel('Password').fill(password);
  scripts.release();
  await page.waitForLoadState('networkidle');
  await expect(page.getByLabel('User')).toHaveValue('somebody');
  await expect(page.getByLabel('Password')).toHaveValue(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByText('password is wrong')).toBeVisible();
});

test('what is typed and pressed on a list before its scripts come is done when they do', async ({ platform, page }) => {
  const { url, user, password } = platform.sandbox.ready.console;
  await new Console(page, url).signIn(user, password);
  const scripts = await holdScripts(page);
  await page.goto(`${url}/deployments`, early);
  await page.getByRole('searchbox', { name: 'Search deployments' }).fill('counter');
  await page.getByRole('button', { name: 'Search and commands' }).click();
  scripts.release();
  await expect(page.getByRole('dialog', { name: 'Command palette' })).toBeVisible();
  await expect(page).toHaveURL(/q=counter/);
  await page.keyboard.press('Escape');
  await expect(page.getByRole('searchbox', { name: 'Search deployments' })).toHaveValue('counter');
});
