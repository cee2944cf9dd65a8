import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      '{proto,commons,reconciler,odgm,gitops-examples}/**/*.test.ts',
      'test/{architecture,chaos,conformance,simulation}/**/*.test.ts',
      'e2e/{sandbox,grid}/**/*.test.ts',
      'console/{src,app}/**/*.test.{ts,tsx}',
    ],
    exclude: ['**/dist/**', '**/node_modules/**', '**/.next/**', '**/.sandbox/**'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
