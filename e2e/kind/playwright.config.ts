import { defineConfig } from '@playwright/test';
import shared from '../playwright.config.ts';

/**
 * The scenarios that a real cluster can stand for `cloud` in, and what only a real node shows. Run by `npm run e2e:kind`, which finds
 * the cluster. Those about the sandbox's own processes and about the pages need no cluster.
 */
export default defineConfig({
  ...shared,
  testDir: '..',
  testMatch: ['kind/*.spec.ts', 'scenarios/[123]-*.spec.ts'],
  outputDir: '../../test-results',
});
