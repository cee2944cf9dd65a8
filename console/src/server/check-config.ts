import { readConfig } from './config.ts';

/** A configuration that cannot work ends the server at its start with one line, not at the first sign-in. */
export function checkConfig(): void {
  try {
    readConfig();
  } catch (error) {
    process.stderr.write(`The console cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
