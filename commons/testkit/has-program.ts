import { execFileSync } from 'node:child_process';

/** Whether a program can be run here, such as openssl: `args` make it end at once and well. */
export function hasProgram(name: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(name, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
