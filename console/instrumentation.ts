/** Runs once when the server starts. */
export async function register(): Promise<void> {
  // eslint-disable-next-line no-restricted-syntax -- a constant of the build: what follows is left out of other runtimes
  if (process.env['NEXT_RUNTIME'] === 'nodejs') {
    const { checkConfig } = await import('./src/server/check-config.ts');
    checkConfig();
  }
}
