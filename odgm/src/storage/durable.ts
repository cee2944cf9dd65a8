import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { oaasError } from '@oaas/commons/errors';
import { lockDirectory } from './directory-lock.ts';
import type { Engine } from './engine.ts';
import { type JournalEngineOptions, openJournalEngine } from './journal-engine.ts';
import { openLmdbBase } from './lmdb.ts';
import { corrupt } from './lmdb-file.ts';
import { openNodeFiles } from './node-files.ts';

export interface DurableOptions extends Omit<JournalEngineOptions, 'files' | 'base'> {
  /** Made if it is not there. Holds `journal/` and `base/`. */
  readonly directory: string;
  /** Names this process to another one that wants the same directory. */
  readonly owner: string;
}

/**
 * The durable engine in a directory of its own. Rejects with `StorageLocked` when another process has the directory,
 * `StorageCorrupt` when what it holds cannot be used, `FailedPrecondition` for what an older program left there.
 */
export async function openDurableEngine(options: DurableOptions): Promise<Engine> {
  const directory = resolve(options.directory);
  await mkdir(directory, { recursive: true }).catch((error: unknown) => {
    throw corrupt(directory, 'the directory cannot be made', error);
  });
  const lock = await lockDirectory(directory, options.owner);
  try {
    if (existsSync(join(directory, 'data.mdb'))) throw olderFormat(directory);
    const base = await openLmdbBase(join(directory, 'base'));
    try {
      const files = await openNodeFiles(join(directory, 'journal'));
      const engine = await openJournalEngine({ ...options, base, files });
      return withRelease(engine, () => lock.release());
    } catch (error) {
      await base.close();
      throw error;
    }
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function withRelease(engine: Engine, release: () => Promise<void>): Engine {
  const close = engine.close.bind(engine);
  let closing: Promise<void> | undefined;
  engine.close = () => (closing ??= close().finally(release));
  return engine;
}

function olderFormat(directory: string): Error {
  return oaasError(
    'FailedPrecondition',
    `the storage directory ${directory} was written by an older, unreleased version`,
    {
      remedy: 'Move the directory away: the node begins with an empty one.',
      details: { directory },
    },
  );
}
