import { expect, type Locator, type Page } from '@playwright/test';

/** `/sources/NAME`: commit, verdicts, plan, history. */
export class SourcePage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  get phase(): Locator {
    return this.page.getByTestId('source-phase');
  }

  get problems(): Locator {
    return this.page.getByTestId('problem');
  }

  async showPart(name: 'Plan' | 'Documents' | 'History'): Promise<void> {
    await this.page.getByRole('tab', { name: new RegExp(`^${name}`) }).click();
  }

  unit(id: string): Locator {
    return this.page.getByTestId(`unit-${id}`);
  }

  async syncNow(): Promise<void> {
    await this.page.getByRole('button', { name: 'Sync now', exact: true }).click();
  }

  /** The trail of commits shows `commit` where it is seen, attempted or applied. */
  async expectCommit(where: 'seen' | 'planned' | 'applied', commit: string): Promise<void> {
    await expect(this.page.getByTestId(`commit-${where}`)).toHaveAttribute('data-commit', commit);
  }
}
