/** Runs once when the server starts. */
export async function register(): Promise<void> {
  if (process.env['NEXT_RUNTIME'] === 'nodejs') {
    const { checkConfig } = await import('./src/server/check-config.ts');
    checkConfig();
  }
}
