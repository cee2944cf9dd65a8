import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { git } from './command.ts';

export interface CommitOptions {
  /** Path to content; null removes the file. */
  readonly files?: Readonly<Record<string, string | Uint8Array | null>>;
  /** Path to what the link points at. */
  readonly symlinks?: Readonly<Record<string, string>>;
  /** Path to a commit id. */
  readonly submodules?: Readonly<Record<string, string>>;
  readonly message?: string;
  /** @default main */
  readonly branch?: string;
  /** Begins the branch anew, as a force-push of an unrelated history does. */
  readonly orphan?: boolean;
  /** A commit to build upon instead of the branch's newest: a force-push where that is older. */
  readonly from?: string;
}

/** Bare repositories in one folder. */
export interface GitRepositories {
  directory(name: string): string;
  /** Makes a commit by itself, without a push: no webhook is called. Gives its id. */
  commit(name: string, options: CommitOptions): Promise<string>;
  tag(name: string, tag: string, commit: string, options?: { readonly annotated?: boolean }): Promise<void>;
  /** All refs with what they point at. */
  refs(name: string): Promise<ReadonlyMap<string, string>>;
  git(name: string, ...args: readonly string[]): Promise<string>;
}

export interface RepositorySeed {
  readonly name: string;
  /** Copied into the first commit. An existing repository is left as it is. */
  readonly seedDir?: string;
  /** Files of the first commit, in addition. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Files and bytes of a seed folder; more is a mistake (a checkout with its dependencies, say). */
const seedFilesMax = 20_000;

/** Creates what is missing under `dir`. What is there stays, so that a restart continues. */
export async function openRepositories(dir: string, seeds: readonly RepositorySeed[]): Promise<GitRepositories> {
  const directory = (name: string) => join(dir, `${name}.git`);
  const run = (name: string, args: readonly string[], input?: string | Uint8Array) =>
    git(args, { cwd: directory(name), ...(input === undefined ? {} : { input }) });

  const repositories: GitRepositories = {
    directory,
    async commit(name, options) {
      const branch = `refs/heads/${options.branch ?? 'main'}`;
      const newest = (await repositories.refs(name)).get(branch);
      const parent = options.orphan === true ? undefined : (options.from ?? newest);
      await run(name, ['fast-import', '--quiet', '--force', '--date-format=now'], fastImport(branch, parent, options));
      return run(name, ['rev-parse', branch]);
    },
    async tag(name, tag, commit, options) {
      await run(
        name,
        options?.annotated === true ? ['tag', '-f', '-a', '-m', tag, tag, commit] : ['tag', '-f', tag, commit],
      );
    },
    async refs(name) {
      const lines = await run(name, ['for-each-ref', '--format=%(objectname) %(refname)']);
      return new Map(
        lines
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => [line.slice(41), line.slice(0, 40)]),
      );
    },
    git: (name, ...args) => run(name, args),
  };

  for (const seed of seeds) {
    if (!/^[A-Za-z0-9][-A-Za-z0-9_.]*$/.test(seed.name))
      throw new Error(`"${seed.name}" is not a name for a repository`);
    if (existsSync(join(directory(seed.name), 'HEAD'))) continue;
    await mkdir(directory(seed.name), { recursive: true });
    await git(['init', '--quiet', '--bare', '--initial-branch=main', '.'], { cwd: directory(seed.name) });
    for (const [key, value] of settings) await run(seed.name, ['config', key, value]);
    const files = { ...(seed.seedDir === undefined ? {} : await readFolder(seed.seedDir)), ...seed.files };
    if (Object.keys(files).length > 0) await repositories.commit(seed.name, { files, message: 'Begin' });
  }
  return repositories;
}

/** As a forge has it: pushes by HTTP, force-pushes and deletions allowed, any commit can be asked for by its id. */
const settings: readonly (readonly [string, string])[] = [
  ['http.receivepack', 'true'],
  ['uploadpack.allowAnySHA1InWant', 'true'],
  ['receive.denyDeleteCurrent', 'ignore'],
  ['gc.auto', '0'],
];

async function readFolder(root: string): Promise<Record<string, Uint8Array>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files: Record<string, Uint8Array> = {};
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const inside = relative(root, path);
    if (inside.split(sep).some((part) => part === '.git' || part === 'node_modules' || part === 'dist')) continue;
    if (!entry.isFile() || (await stat(path)).size > 16 * 1024 * 1024) continue;
    if (Object.keys(files).length >= seedFilesMax)
      throw new Error(`${root} has more than ${String(seedFilesMax)} files`);
    files[inside.split(sep).join('/')] = await readFile(path);
  }
  return files;
}

/** The stream format of git-fast-import. */
function fastImport(branch: string, parent: string | undefined, options: CommitOptions): Uint8Array {
  const parts: Buffer[] = [];
  const line = (text: string) => parts.push(Buffer.from(`${text}\n`));
  const data = (content: string | Uint8Array) => {
    const bytes = Buffer.from(content);
    line(`data ${String(bytes.length)}`);
    parts.push(bytes, Buffer.from('\n'));
  };
  const quoted = (path: string) => JSON.stringify(path);
  // The branch is set back first, for fast-import takes its present tip as the parent where none is named.
  line(`reset ${branch}`);
  if (parent !== undefined) line(`from ${parent}`);
  line(`commit ${branch}`);
  line('committer OaaS <oaas@localhost> now');
  data(options.message ?? 'Change');
  for (const [path, content] of Object.entries(options.files ?? {})) {
    if (content === null) line(`D ${quoted(path)}`);
    else {
      line(`M 100644 inline ${quoted(path)}`);
      data(content);
    }
  }
  for (const [path, target] of Object.entries(options.symlinks ?? {})) {
    line(`M 120000 inline ${quoted(path)}`);
    data(target);
  }
  for (const [path, commit] of Object.entries(options.submodules ?? {})) line(`M 160000 ${commit} ${quoted(path)}`);
  return Buffer.concat(parts);
}
