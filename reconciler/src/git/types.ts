/** A commit as far as a plan and its history need it. */
export interface CommitInfo {
  /** Full object id: 40 hexadecimal digits. */
  readonly id: string;
  /** Whole message, trimmed; at most 4096 characters. */
  readonly message: string;
  /** `Name <email>` */
  readonly author: string;
  /** Milliseconds since the Unix epoch, as the committer's clock had it. */
  readonly committedAtMs: number;
}

/** What a source follows. A branch and a tag by their short names, a commit by its full id. */
export type GitRef =
  | { readonly type: 'branch'; readonly name: string }
  | { readonly type: 'tag'; readonly name: string }
  | { readonly type: 'commit'; readonly name: string };

/** Something in the tree that is left out, and why. */
export interface IgnoredEntry {
  readonly path: string;
  readonly reason: string;
}

/** The files of one commit. Nothing is checked out: contents are read from the object store when asked for. */
export interface Snapshot {
  readonly commit: CommitInfo;
  /** Path from the root of the repository to the id of its content; equal ids are equal contents. */
  readonly files: ReadonlyMap<string, string>;
  readonly ignored: readonly IgnoredEntry[];
  /** Rejects with `PayloadTooLarge` over {@link GitLimits.fileBytes}, `NotFound` for a path that is not in `files`. */
  read(path: string): Promise<Uint8Array>;
}

export type GitAuth =
  | { readonly type: 'none' }
  | { readonly type: 'basic'; readonly username: string; readonly password: string }
  | { readonly type: 'bearer'; readonly token: string };

/** Bounds of one repository. */
export interface GitLimits {
  /** Files that a snapshot lists. Over it `snapshot` rejects with `ResourceExhausted`. */
  readonly files: number;
  /** Bytes of one file. Over it `read` rejects with `PayloadTooLarge`. */
  readonly fileBytes: number;
  /** Bytes of one answer of the server, compressed. Over it the operation ends with `ResourceExhausted`. */
  readonly responseBytes: number;
}

export const defaultGitLimits: GitLimits = { files: 20_000, fileBytes: 1024 * 1024, responseBytes: 256 * 1024 * 1024 };

/**
 * One remote repository. Errors: `SourceUnreachable` (no answer, wrong answer, timeout), `SourceAuthFailed` (the server refuses the
 * credentials), `RefNotFound`, `ResourceExhausted` (a limit), `Cancelled`.
 */
export interface GitSource {
  /** Id of the commit that `ref` points at now. Cheap: asks for that ref only. */
  check(ref: GitRef, signal?: AbortSignal): Promise<string>;
  /** The files of a commit, fetched where it is not at hand. `ref` is what led to it, and what is fetched. */
  snapshot(commit: string, ref: GitRef, signal?: AbortSignal): Promise<Snapshot>;
  /** Paths whose contents differ between two commits that are at hand, in order. */
  changedFiles(before: string, after: string): Promise<readonly string[]>;
  /** A commit and those before it, newest first, as far as the history is at hand. */
  log(commit: string, limit: number): Promise<readonly CommitInfo[]>;
}
