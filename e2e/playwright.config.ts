import { existsSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from '@playwright/test';

/**
 * OAAS_CHROMIUM, else a Chromium of this machine, its headless shell before the whole browser, which costs twice the processor time;
 * where none is, Playwright looks for its own.
 */
const chromium =
  process.env['OAAS_CHROMIUM'] ??
  ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']
    .flatMap((name) => (process.env['PATH'] ?? '').split(path.delimiter).map((dir) => path.join(dir, name)))
    .find((file) => existsSync(file));

/** The whole platform in a browser. One sandbox serves all scenarios of a worker, one after the other. */
export default defineConfig({
  testDir: './scenarios',
  outputDir: '../test-results',
  workers: 1,
  fullyParallel: false,
  forbidOnly: process.env['CI'] !== undefined,
  // Generous, since a CI machine may have a tenth of this one's power; nothing waits for a time to pass.
  timeout: 240_000,
  expect: { timeout: 45_000 },
  reporter: [['list']],
  use: {
    viewport: { width: 1440, height: 900 },
    // Without the film, which would be made of every test to be thrown away.
    trace: { mode: 'retain-on-failure', screenshots: false },
    // Machines without a GPU draw what moves by their processors.
    contextOptions: { reducedMotion: 'reduce' },
    screenshot: 'only-on-failure',
    launchOptions: chromium === undefined ? {} : { executablePath: chromium },
  },
});
