import fs from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as git from 'isomorphic-git';
import { oaasError } from '@oaas/commons/errors';
import type { Timers } from '@oaas/commons/time';
import { Mutex } from './mutex.ts';
import { type Operation, sourceError, withOperation } from './transport.ts';
import { listTree, type TreeEntry, type TreeFiles } from './tree.ts';
import type { CommitInfo, GitAuth, GitLimits, GitRef, GitSource, Snapshot } from './types.ts';
import { defaultGitLimits } from './types.ts';
import { repositoryUrl } from './url.ts';

export interface IsomorphicSourceOptions {
  readonly url: string;
  readonly auth: GitAuth;
  /** A directory of its own: it is created, and removed at will. */
  readonly cacheDir: string;
  /** Only what stands under this folder. Default: everything. */
  readonly path?: string;
  readonly wants: (path: string) => boolean;
  readonly timers: Timers;
  readonly timeoutMs: number;
  readonly limits?: GitLimits;
}

/** Each fetch leaves a pack, and reading slows down with their number (40 to 165 ms over 100). At this many the cache begins anew. */
const packsMax = 50;
/** Listings kept between snapshots: a tree with the same id has the same entries. At the bound all are dropped. */
const treesMax = 20_000;

type Cache = Record<symbol, unknown>;

/**
 * A repository over http(s), read by isomorphic-git into a bare, shallow cache. The first fetch has depth 1; later ones have none,
 * because a shallow fetch downloads the whole tree each time, while an ordinary one gets what is new.
 */
export function createGitSource(options: IsomorphicSourceOptions): GitSource {
  const url = repositoryUrl(options.url).href;
  const limits = options.limits ?? defaultGitLimits;
  const prefix = (options.path ?? '').replace(/^\/+|\/+$/g, '');
  const gitdir = join(options.cacheDir, 'repository.git');
  const mutex = new Mutex();
  const trees = new Map<string, readonly TreeEntry[]>();

  const operation = <T>(signal: AbortSignal | undefined, run: (operation: Operation) => Promise<T>): Promise<T> =>
    withOperation({ auth: options.auth, limits, timers: options.timers, timeoutMs: options.timeoutMs, signal }, run);

  async function check(ref: GitRef, signal?: AbortSignal): Promise<string> {
    if (ref.type === 'commit') return ref.name;
    const name = `refs/${ref.type === 'branch' ? 'heads' : 'tags'}/${ref.name}`;
    const refs = await operation(signal, ({ http, headers }) =>
      git.listServerRefs({ http, headers, url, prefix: name, peelTags: true, protocolVersion: 2 }),
    );
    const found = refs.find((each) => each.ref === name);
    if (found !== undefined) return found.peeled ?? found.oid;
    throw oaasError('RefNotFound', `the repository has no ${ref.type} "${ref.name}"`, {
      remedy: `Push the ${ref.type}, or point the source at another.`,
    });
  }

  /** Fetches `commit` unless it is at hand. Under the mutex: two fetches into one cache would disturb each other. */
  async function ensure(commit: string, ref: GitRef, signal: AbortSignal | undefined): Promise<void> {
    if (await has(commit)) return;
    const packs = await packCount(gitdir);
    if (packs === undefined || packs >= packsMax) await renew();
    await operation(signal, async ({ http, headers }) => {
      const isFirst = packs === undefined || packs >= packsMax;
      const shared = {
        fs,
        http,
        headers: { ...headers },
        gitdir,
        remote: 'origin',
        url,
        tags: false,
        singleBranch: true,
      } as const;
      await git.fetch({ ...shared, ref: ref.name, remoteRef: remoteName(ref), ...(isFirst ? { depth: 1 } : {}) });
      // The ref has moved on since it was looked at, or never led here (a rollback): ask for the commit itself.
      if (!(await has(commit))) await git.fetch({ ...shared, ref: commit, remoteRef: commit, depth: 1 });
    });
    if (await has(commit)) return;
    throw oaasError('RefNotFound', `the repository has no commit ${commit}`, {
      remedy: 'Choose a commit that the server still has.',
    });
  }

  async function renew(): Promise<void> {
    await rm(gitdir, { recursive: true, force: true });
    await mkdir(gitdir, { recursive: true });
    trees.clear();
    await git.init({ fs, gitdir, bare: true, defaultBranch: 'main' });
    await git.addRemote({ fs, gitdir, remote: 'origin', url, force: true });
  }

  async function has(commit: string): Promise<boolean> {
    try {
      await git.readCommit({ fs, gitdir, oid: commit, cache: {} });
      return true;
    } catch {
      return false;
    }
  }

  async function filesOf(commit: string, cache: Cache): Promise<TreeFiles> {
    const { commit: content } = await git.readCommit({ fs, gitdir, oid: commit, cache });
    const readTree = async (oid: string): Promise<readonly TreeEntry[]> => {
      const known = trees.get(oid);
      if (known !== undefined) return known;
      const { tree } = await git.readTree({ fs, gitdir, oid, cache });
      if (trees.size >= treesMax) trees.clear();
      trees.set(oid, tree);
      return tree;
    };
    return listTree(content.tree, { limits, prefix, wants: options.wants, readTree });
  }

  return {
    check,
    async snapshot(commit, ref, signal) {
      return mutex.run(async (): Promise<Snapshot> => {
        await ensure(commit, ref, signal);
        // One cache for all reads of this snapshot (unpacking deltas again for each blob is ten times as slow), dropped with it.
        const cache: Cache = {};
        try {
          const { files, ignored } = await filesOf(commit, cache);
          const info = commitInfo(await git.readCommit({ fs, gitdir, oid: commit, cache }));
          return { commit: info, files, ignored, read: (path) => readFile(files, path, cache) };
        } catch (thrown) {
          throw sourceError(thrown);
        }
      });
    },
    async changedFiles(before, after) {
      const cache: Cache = {};
      const [left, right] = [await filesOf(before, cache), await filesOf(after, cache)];
      const paths = new Set([...left.files.keys(), ...right.files.keys()]);
      return [...paths].filter((path) => left.files.get(path) !== right.files.get(path)).sort();
    },
    async log(commit, limit) {
      const entries = await git.log({ fs, gitdir, ref: commit, depth: Math.min(limit, 1000), cache: {} });
      return entries.map(commitInfo);
    },
  };

  async function readFile(files: ReadonlyMap<string, string>, path: string, cache: Cache): Promise<Uint8Array> {
    const oid = files.get(path);
    if (oid === undefined) throw oaasError('NotFound', `the commit has no file "${path}"`);
    const { blob } = await git.readBlob({ fs, gitdir, oid, cache }).catch((thrown: unknown) => {
      throw sourceError(thrown);
    });
    if (blob.length <= limits.fileBytes) return blob;
    throw oaasError(
      'PayloadTooLarge',
      `the file has ${String(blob.length)} bytes, more than ${String(limits.fileBytes)}`,
      {
        remedy: 'Split the file.',
      },
    );
  }
}

function remoteName(ref: GitRef): string {
  switch (ref.type) {
    case 'branch':
      return `refs/heads/${ref.name}`;
    case 'tag':
      return `refs/tags/${ref.name}`;
    case 'commit':
      return ref.name;
  }
}

function commitInfo({ oid, commit }: git.ReadCommitResult): CommitInfo {
  return {
    id: oid,
    message: commit.message.trim().slice(0, 4096),
    author: `${commit.author.name} <${commit.author.email}>`,
    committedAtMs: commit.committer.timestamp * 1000,
  };
}

/** Packs in a cache; undefined where there is no cache yet. */
async function packCount(gitdir: string): Promise<number | undefined> {
  try {
    const names = await readdir(join(gitdir, 'objects', 'pack'));
    return names.filter((name) => name.endsWith('.pack')).length;
  } catch {
    return undefined;
  }
}
