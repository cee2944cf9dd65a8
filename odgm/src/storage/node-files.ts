import { close, constants, fdatasync, fstat, open, read, readSync, write, writev } from 'node:fs';
import { mkdir, open as openHandle, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FileSystem, StorageFile } from './file-system.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const statFile = promisify(fstat);

/**
 * Where a write with O_DSYNC is as safe as one with a flush after it: one trip to a thread and back instead of two, each of
 * which takes longer than the disk on a busy machine. Elsewhere (macOS) it may end in the cache of the disk.
 */
const syncsWrites = process.platform === 'linux';
const { O_CREAT, O_DSYNC, O_RDWR, O_TRUNC } = constants;
const existingFlags = O_RDWR | (syncsWrites ? O_DSYNC : 0);
const newFlags = existingFlags | O_CREAT | O_TRUNC;

/** The directory `path` of the real file system; made if it is not there. */
export async function openNodeFiles(path: string): Promise<FileSystem> {
  await mkdir(path, { recursive: true });
  return {
    path,
    list: async () => {
      const names = await readdir(path);
      return Promise.all(names.map(async (name) => ({ name, size: (await stat(join(path, name))).size })));
    },
    open: async (name, how) => fileOf(await openFile(join(path, name), how === 'new' ? newFlags : existingFlags)),
    rename: (from, to) => rename(join(path, from), join(path, to)),
    remove: (name) => rm(join(path, name), { force: true }),
    syncNames: async () => {
      const directory = await openHandle(path, 'r');
      try {
        await directory.sync();
      } finally {
        await directory.close();
      }
    },
  };
}

/** Callbacks instead of file handles: a handle costs a few promises more for each call, on the way of every write. */
function fileOf(descriptor: number): StorageFile {
  const datasync = (): Promise<void> =>
    new Promise((resolve, reject) => {
      fdatasync(descriptor, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  return {
    writeDurably: async (buffers, position) => {
      const [first] = buffers;
      if (buffers.length === 1 && first !== undefined) await writeAll(descriptor, first, position);
      else await writeAllOf(descriptor, buffers, position);
      if (!syncsWrites) await datasync();
    },
    read: async (target, position) => {
      let done = 0;
      while (done < target.length) {
        const count = await readSome(descriptor, target, done, position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    },
    readSync: (target, position) => {
      let done = 0;
      while (done < target.length) {
        const count = readSync(descriptor, target, done, target.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    },
    size: async () => (await statFile(descriptor)).size,
    close: () => closeFile(descriptor),
  };
}

function readSome(descriptor: number, target: Uint8Array, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, target, offset, target.length - offset, position, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

async function writeAll(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += await writeSome(descriptor, bytes, done, position + done);
}

function writeSome(descriptor: number, bytes: Uint8Array, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, offset, bytes.length - offset, position, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

/** One call takes at most this many buffers (IOV_MAX is 1,024 on Linux and macOS). */
const maxVector = 512;

async function writeAllOf(descriptor: number, buffers: readonly Uint8Array[], position: number): Promise<void> {
  for (let start = 0; start < buffers.length; start += maxVector) {
    const vector = buffers.slice(start, start + maxVector);
    let done = await writeVector(descriptor, vector, position);
    // A short write is rare: what is left goes buffer by buffer.
    for (const buffer of vector) {
      if (done < buffer.length) await writeAll(descriptor, buffer.subarray(done), position + done);
      position += buffer.length;
      done = Math.max(0, done - buffer.length);
    }
  }
}

function writeVector(descriptor: number, buffers: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(descriptor, buffers, position, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}
