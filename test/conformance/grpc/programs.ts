import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';

/** Whether a program can be started; tests that need one say so in their name when they are skipped. */
export function isOnPath(program: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore', timeout: 20_000 });
    return true;
  } catch (error) {
    // A program that is there but dislikes the arguments is there.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT' && args.length === 0;
  }
}

export interface Outcome {
  readonly code: number;
  readonly output: string;
}

/** Runs a program to its end; stdout and stderr together. Killed after `timeoutMs`. */
export function run(program: string, args: readonly string[], timeoutMs = 120_000): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (child.exitCode ?? 1), output: stdout + stderr });
      },
    );
  });
}

/** Starts a program and resolves with the first line it prints. */
export function start(program: string, args: readonly string[]): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    let text = '';
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${program} ended with ${String(code)} before it was ready`)));
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const [line, rest] = text.split('\n');
      if (rest !== undefined) resolve({ child, line: line ?? '' });
    });
  });
}
