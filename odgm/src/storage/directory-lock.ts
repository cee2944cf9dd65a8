import { mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { oaasError } from '@oaas/commons/errors';

export interface DirectoryLock {
  release(): Promise<void>;
}

const fileName = 'owner.sock';
/** `sun_path` of a Unix socket has 104 bytes on macOS, 108 on Linux. */
const maxSocketPath = 100;
/** Longest wait for the owner's name. */
const answerMs = 2000;

/**
 * Makes this process the only user of a directory until it releases the lock or ends, however it ends.
 *
 * The lock is a Unix socket that the owner listens on. Unlike a file with a process id, it cannot outlive its owner,
 * and it works between containers that share a volume on one machine. Who connects is told the owner's name. It does
 * not work across machines: a volume that two machines mount at once has to be fenced by the cluster.
 * Rejects with `StorageLocked`, naming the owner.
 */
export async function lockDirectory(directory: string, owner: string): Promise<DirectoryLock> {
  const { path, cleanup } = await shortPath(directory);
  try {
    const server = await claim(path, directory, owner);
    return {
      release: async () => {
        await new Promise<void>((resolve) =>
          server.close(() => {
            resolve();
          }),
        );
        await cleanup();
      },
    };
  } catch (error) {
    await cleanup();
    throw error;
  }
}

async function claim(path: string, directory: string, owner: string): Promise<Server> {
  const first = await listen(path, owner);
  if (first !== undefined) return first;
  const holder = await askOwner(path);
  if (holder !== undefined) throw locked(directory, holder);
  // Nobody listens: the last owner was killed. Move its socket away and look again: another starter may have been faster.
  const stale = `${path}.${String(process.pid)}`;
  await rename(path, stale).catch(() => undefined);
  const faster = await askOwner(stale);
  if (faster !== undefined) {
    await rename(stale, path);
    throw locked(directory, faster);
  }
  await rm(stale, { force: true });
  const second = await listen(path, owner);
  if (second === undefined) throw locked(directory, 'a process that is starting');
  return second;
}

/** `undefined` when the path is taken. */
function listen(path: string, owner: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(owner);
    });
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else {
        reject(
          oaasError('FailedPrecondition', `the storage directory cannot be used: ${error.message}`, {
            remedy: 'Give this user the right to write there, on a file system that knows sockets.',
            cause: error,
          }),
        );
      }
    });
    server.listen(path, () => {
      resolve(server);
    });
  });
}

/** Name of the process that listens there; `undefined` when there is none. One that is stopped listens and says nothing. */
function askOwner(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let name = '';
    const socket = connect(path);
    socket.setTimeout(answerMs, () => {
      resolve('a process that does not answer');
      socket.destroy();
    });
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      name += chunk;
    });
    socket.on('end', () => {
      resolve(name);
    });
    socket.on('error', () => {
      resolve(undefined);
    });
  });
}

/** Reaches a directory with a long path through a link with a short one. */
async function shortPath(directory: string): Promise<{ path: string; cleanup: () => Promise<void> }> {
  const direct = join(directory, fileName);
  if (Buffer.byteLength(direct) + 12 <= maxSocketPath) return { path: direct, cleanup: () => Promise.resolve() };
  const short = await mkdtemp(join(tmpdir(), 'odgm-'));
  await symlink(directory, join(short, 'd'));
  return {
    path: join(short, 'd', fileName),
    cleanup: () => rm(short, { recursive: true, force: true }),
  };
}

function locked(directory: string, holder: string): Error {
  return oaasError('StorageLocked', `the storage directory ${directory} is in use by ${holder}`, {
    remedy: 'Stop the other process, or give this one a directory of its own (ODGM_DATA_DIR).',
    details: { directory, holder },
  });
}
