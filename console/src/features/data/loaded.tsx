'use client';

import type { UseQueryResult } from '@tanstack/react-query';
import { Failed, SkeletonLines, StaleNotice } from '../../ui/states.tsx';
import { failureOf, isNotFound } from './failure.ts';

/** The four states of something that is read: loading, failed, stale, there. */
export function Loaded<Data>({
  query,
  skeleton,
  notFound,
  children,
}: {
  readonly query: UseQueryResult<Data>;
  readonly skeleton?: React.ReactNode;
  /** Shown in place of a failure when PM says that there is no such thing. */
  readonly notFound?: React.ReactNode;
  readonly children: (data: Data) => React.ReactNode;
}) {
  const retry = () => void query.refetch();
  if (query.data === undefined) {
    if (query.error === null) return skeleton ?? <SkeletonLines className="p-4" />;
    if (notFound !== undefined && isNotFound(query.error)) return notFound;
    return <Failed failure={failureOf(query.error)} onRetry={retry} />;
  }
  return (
    <>
      {query.error === null ? null : (
        <StaleNotice failure={failureOf(query.error)} readAt={query.dataUpdatedAt} onRetry={retry} />
      )}
      {children(query.data)}
    </>
  );
}
