import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, rm, statfs, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { oaasError, toOaasError } from '@oaas/commons/errors';
import { processStart } from './orphans.ts';

/** Layout of the directory; another one is not touched. */
const format = 1;
const markFile = 'sandbox.json';
const lockFile = 'lock';
const secretsFile = 'secrets.json';
/** Name of the file that lists the processes of the sandbox; see orphans.ts. */
export const processesFile = 'processes';
/** Less free space than this, and a start would only fail later and less clearly. */
const spaceMinBytes = 200 * 1024 * 1024;

/** Everything secret of one sandbox. Made at its first start, the same ever after. */
export interface Secrets {
  readonly adminPassword: string;
  readonly cookieKey: string;
  readonly pmToken: string;
  readonly crmToken: string;
  readonly gitPassword: string;
  readonly webhookSecret: string;
}

export interface SandboxDirectory {
  readonly path: string;
  readonly secrets: Secrets;
  release(): Promise<void>;
}

/**
 * Opens the directory of a sandbox for this process alone, making it if it is not there. With `fresh` what a sandbox has
 * left in it goes first; a directory that is no sandbox is never emptied. Throws an error of one clear line.
 */
export async function openDirectory(dir: string, options: { readonly fresh: boolean }): Promise<SandboxDirectory> {
  const path = resolve(dir);
  try {
    await makeFolder(path);
    await checkMark(path);
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    await checkSpace(path);
    await takeLock(path);
  } catch (error) {
    throw named(error, path);
  }
  try {
    if (options.fresh) await empty(path);
    await writeFile(join(path, markFile), `${JSON.stringify({ format })}\n`, { mode: 0o600 });
    const secrets = await readSecrets(join(path, secretsFile));
    return { path, secrets, release: () => unlink(join(path, lockFile)) };
  } catch (error) {
    await unlink(join(path, lockFile)).catch(() => undefined);
    throw named(error, path);
  }
}

/** As mkdir with `recursive`, which tries for ever where the system says ENOENT in a folder that is there, as in /proc. */
async function makeFolder(path: string): Promise<void> {
  const make = (): Promise<void> => mkdir(path, { mode: 0o700 });
  try {
    await make();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await make();
  }
}

async function checkMark(path: string): Promise<void> {
  const entries = await readdir(path);
  if (entries.length === 0) return;
  if (!entries.includes(markFile)) {
    throw oaasError('FailedPrecondition', `${path} holds files and is not a sandbox: nothing was changed.`, {
      remedy: 'Name an empty or a new folder with --dir.',
    });
  }
  const mark = await readFile(join(path, markFile), 'utf8');
  let found: unknown;
  try {
    found = JSON.parse(mark);
  } catch (cause) {
    // Not sure enough that it is a sandbox to empty it, even with --fresh.
    throw oaasError('StorageCorrupt', `${join(path, markFile)} is damaged: nothing was changed.`, {
      remedy: 'Name another folder with --dir, or remove this one.',
      cause,
    });
  }
  const version = (found as { format?: unknown } | null)?.format;
  if (version === format) return;
  throw oaasError(
    'FailedPrecondition',
    `${path} is a sandbox of another version (format ${JSON.stringify(version)}).`,
    {
      remedy: 'Name another folder with --dir, or remove this one.',
    },
  );
}

async function checkSpace(path: string): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  if (bavail * bsize >= spaceMinBytes) return;
  const free = String(Math.floor((bavail * bsize) / 1024 / 1024));
  throw oaasError('StorageFull', `Only ${free} MiB are free where ${path} is; 200 MiB are needed.`, {
    remedy: 'Make room, or name a folder on another disk with --dir.',
  });
}

/** The lock holds pid and start time of its owner, so that one left behind by a killed sandbox is known as such. */
async function takeLock(path: string): Promise<void> {
  const file = join(path, lockFile);
  const mine = `${String(process.pid)} ${processStart(process.pid) ?? ''}`;
  for (;;) {
    try {
      await writeFile(file, mine, { flag: 'wx', mode: 0o600 });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid = '', ...start] = (await readFile(file, 'utf8').catch(() => '')).split(' ');
    if (pid !== '' && processStart(Number(pid)) === start.join(' ')) {
      throw oaasError('StorageLocked', `Another sandbox is running on ${path} (process ${pid}).`, {
        remedy: 'Stop it, or start a second one with --dir and --port-base.',
      });
    }
    await rm(file, { force: true });
  }
}

/** The list of processes stays: those of a killed sandbox are still to be ended. */
const kept = new Set([lockFile, markFile, processesFile]);

async function empty(path: string): Promise<void> {
  for (const entry of await readdir(path)) {
    if (!kept.has(entry)) await rm(join(path, entry), { recursive: true, force: true });
  }
}

async function readSecrets(file: string): Promise<Secrets> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (text !== undefined) return JSON.parse(text) as Secrets;
  const word = (bytes: number) => randomBytes(bytes).toString('base64url');
  const secrets: Secrets = {
    adminPassword: word(12),
    cookieKey: word(32),
    pmToken: word(32),
    crmToken: word(32),
    gitPassword: word(18),
    webhookSecret: word(32),
  };
  await writeFile(file, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  return secrets;
}

/** System errors in a line that names the directory. */
function named(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return oaasError('PermissionDenied', `${path} cannot be read and written by this user.`, {
      remedy: 'Name another folder with --dir.',
      cause: error,
    });
  }
  if (code === 'ENOENT') {
    return oaasError('InvalidArgument', `${path} cannot be made.`, {
      remedy: 'Name another folder with --dir.',
      cause: error,
    });
  }
  if (code === 'ENOTDIR') {
    return oaasError('InvalidArgument', `${path} is not a folder.`, {
      remedy: 'Name another one with --dir.',
      cause: error,
    });
  }
  if (error instanceof SyntaxError) {
    return oaasError('StorageCorrupt', `${path} holds a file of the sandbox that cannot be read: ${error.message}`, {
      remedy: 'Begin anew with --fresh, or name another folder with --dir.',
      cause: error,
    });
  }
  return toOaasError(error);
}
