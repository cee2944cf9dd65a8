/** Git repositories as sources: what a ref points at, the files of a commit, and being told when it moves. */
export type { CommitInfo, GitAuth, GitLimits, GitRef, GitSource, IgnoredEntry, Snapshot } from './types.ts';
export { createGitSource, type IsomorphicSourceOptions } from './isomorphic.ts';
export { type CheckResult, type CheckTrigger, SourceWatcher } from './watcher.ts';
export { repositoryUrl } from './url.ts';
export { Mutex } from './mutex.ts';
export {
  deliveryId,
  providerOf,
  RateLimit,
  readEvent,
  RecentIds,
  verifySignature,
  webhookBodyMaxBytes,
  type WebhookEvent,
} from './webhook.ts';
