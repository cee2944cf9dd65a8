import { expect, type Locator, type Page } from '@playwright/test';

/** What every page of the console has: sign-in, navigation, headings. */
export class Console {
  readonly page: Page;
  readonly url: string;

  constructor(page: Page, url: string) {
    this.page = page;
    this.url = url;
  }

  /** Signs in without loading a page: only those who look at the sign-in itself need to see it. */
  async enter(user: string, password: string): Promise<void> {
    const answer = await this.page.request.post(`${this.url}/api/session`, {
      data: { user, password },
      headers: { origin: this.url },
    });
    expect(answer.ok(), `the sign-in answers ${String(answer.status())}`).toBe(true);
  }

  async signIn(user: string, password: string): Promise<void> {
    await this.page.goto(`${this.url}/sign-in`);
    await this.page.getByLabel('User').fill(user);
    await this.page.getByLabel('Password').fill(password);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await expect(this.page.getByRole('navigation').first()).toBeVisible();
  }

  async open(path: string): Promise<void> {
    await this.page.goto(`${this.url}${path}`);
    await expect(this.heading).toBeVisible();
  }

  /** Nothing is loading any more, and changes arrive. */
  async loaded(): Promise<void> {
    await expect(this.page.getByText('Live', { exact: true })).toBeVisible();
    await expect(this.page.locator('.animate-pulse')).toHaveCount(0);
  }

  get heading(): Locator {
    return this.page.getByRole('heading', { level: 1 });
  }
}
