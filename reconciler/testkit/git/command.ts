import { spawn } from 'node:child_process';
import { devNull } from 'node:os';

/** What one `git` may print. Over it, it is killed. */
const outputMaxBytes = 64 * 1024 * 1024;

/** Variables for every `git` that is started: nothing of the user's own configuration, a fixed identity. */
export function gitEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = '', HOME = '', LD_LIBRARY_PATH } = process.env;
  return {
    PATH,
    HOME,
    ...(LD_LIBRARY_PATH === undefined ? {} : { LD_LIBRARY_PATH }),
    GIT_CONFIG_GLOBAL: devNull,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'OaaS',
    GIT_AUTHOR_EMAIL: 'oaas@localhost',
    GIT_COMMITTER_NAME: 'OaaS',
    GIT_COMMITTER_EMAIL: 'oaas@localhost',
    ...extra,
  };
}

/** Runs `git` and gives its standard output, trimmed. Rejects with its standard error where it fails. */
export function git(
  args: readonly string[],
  options: { readonly cwd: string; readonly input?: string | Uint8Array },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { cwd: options.cwd, env: gitEnvironment(), stdio: ['pipe', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > outputMaxBytes) child.kill('SIGKILL');
      else output.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (errors.length < 1000) errors.push(chunk);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output).toString('utf8').trim());
      else
        reject(
          new Error(`git ${args[0] ?? ''} failed (${String(code)}): ${Buffer.concat(errors).toString('utf8').trim()}`),
        );
    });
    child.stdin.on('error', () => {
      // git ended before it read all: its exit code tells.
    });
    child.stdin.end(options.input ?? '');
  });
}
