import { defineConfig } from '@playwright/test';

const chromium = process.env['OAAS_CHROMIUM'];

/** The whole platform in a browser. One sandbox serves all scenarios of a worker, one after the other. */
export default defineConfig({
  testDir: './scenarios',
  outputDir: '../test-results',
  workers: 1,
  fullyParallel: false,
  forbidOnly: process.env['CI'] !== undefined,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  reporter: [['list']],
  use: {
    viewport: { width: 1440, height: 900 },
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: chromium === undefined ? {} : { executablePath: chromium },
  },
});
