import type { Commit } from '@oaas/commons/client/pm';
import { toRfc3339 } from '@oaas/commons/time';
import type { CommitInfo, GitRef } from '../../git/index.ts';

/** A reference as the REST API has it. */
export interface RefInput {
  readonly branch?: string | undefined;
  readonly tag?: string | undefined;
  readonly commit?: string | undefined;
}

/** Exactly one of the three; without any, the branch main. */
export function refOf(ref: RefInput): GitRef {
  if (ref.commit !== undefined) return { type: 'commit', name: ref.commit };
  if (ref.tag !== undefined) return { type: 'tag', name: ref.tag };
  return { type: 'branch', name: ref.branch ?? 'main' };
}

export function refText(ref: RefInput): string {
  return refOf(ref).name;
}

export function commitOf(info: CommitInfo, ref: GitRef): Commit {
  return {
    id: info.id,
    ref: ref.name,
    message: info.message,
    author: info.author,
    committed_at: toRfc3339(info.committedAtMs),
  };
}
