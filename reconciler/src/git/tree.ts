import { oaasError } from '@oaas/commons/errors';
import type { GitLimits, IgnoredEntry } from './types.ts';

/** One entry of a tree object. */
export interface TreeEntry {
  readonly mode: string;
  readonly path: string;
  readonly oid: string;
  readonly type: 'blob' | 'tree' | 'commit';
}

export interface TreeOptions {
  readonly limits: GitLimits;
  /** Only what stands under this folder; empty: everything. Without slashes at its ends. */
  readonly prefix: string;
  /** Which files are of interest; all others are neither listed nor counted. */
  readonly wants: (path: string) => boolean;
  readonly readTree: (oid: string) => Promise<readonly TreeEntry[]>;
}

export interface TreeFiles {
  readonly files: ReadonlyMap<string, string>;
  readonly ignored: readonly IgnoredEntry[];
}

/** Folders inside folders. Deeper ones are left out. */
const depthMax = 64;
/** Folders that are looked into. Over it the listing rejects with `ResourceExhausted`. */
const foldersMax = 50_000;
/** Entries that are reported as left out; the rest is silent. */
const ignoredMax = 200;

/**
 * Lists the files of a tree. Symbolic links, submodules and names that would lead out of the repository are left out and reported:
 * a link's content is a path, and following it would read what nobody committed.
 */
export async function listTree(root: string, options: TreeOptions): Promise<TreeFiles> {
  const files = new Map<string, string>();
  const ignored: IgnoredEntry[] = [];
  let folders = 0;
  const ignore = (path: string, reason: string) => {
    if (ignored.length < ignoredMax) ignored.push({ path, reason });
  };
  const within = (path: string) =>
    options.prefix === '' ||
    path === options.prefix ||
    path.startsWith(`${options.prefix}/`) ||
    options.prefix.startsWith(`${path}/`);

  const pending: { readonly oid: string; readonly path: string; readonly depth: number }[] = [
    { oid: root, path: '', depth: 0 },
  ];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    folders += 1;
    if (folders > foldersMax) throw tooMany('folders', foldersMax);
    for (const entry of await options.readTree(folder.oid)) {
      const path = folder.path === '' ? entry.path : `${folder.path}/${entry.path}`;
      if (!within(path)) continue;
      if (isUnsafeName(entry.path)) ignore(path, 'Its name leads out of the repository.');
      else if (entry.type === 'commit') ignore(path, 'It is a submodule; submodules are not read.');
      else if (entry.type === 'tree') {
        if (folder.depth >= depthMax) ignore(path, `It is nested deeper than ${String(depthMax)} folders.`);
        else pending.push({ oid: entry.oid, path, depth: folder.depth + 1 });
      } else if (entry.mode === '120000') {
        if (options.wants(path)) ignore(path, 'It is a symbolic link; links are not followed.');
      } else if (options.wants(path)) {
        files.set(path, entry.oid);
        if (files.size > options.limits.files) throw tooMany('files', options.limits.files);
      }
    }
  }
  return { files, ignored };
}

function isUnsafeName(name: string): boolean {
  return name === '' || name === '.' || name === '..' || name.toLowerCase() === '.git' || /[/\\\0]/.test(name);
}

function tooMany(what: string, max: number): Error {
  return oaasError('ResourceExhausted', `the repository has more than ${String(max)} ${what}`, {
    remedy: 'Set a path for the source, or split the repository.',
  });
}
