'use client';

import type { SourceInput } from '@oaas/commons/client/pm';
import { keys } from '../data/keys.ts';
import { useAction } from '../data/use-action.ts';
import { shortCommit } from '../deployments/record.ts';

const afterChange = [keys.sources, keys.runs, keys.overview, keys.audit];

export function useSyncSource() {
  return useAction({
    run: (pm, name: string) => pm.syncSource(name),
    done: (name) => `Looking at ${name} now`,
    failed: (name) => `${name} was not synced`,
    stale: afterChange,
  });
}

export function useSuspendSource(onDone: () => void) {
  return useAction({
    run: (pm, input: { readonly name: string; readonly reason: string }) => pm.suspendSource(input.name, input.reason),
    done: ({ name }) => `${name} is suspended`,
    failed: ({ name }) => `${name} was not suspended`,
    stale: afterChange,
    onDone,
  });
}

export function useResumeSource() {
  return useAction({
    run: (pm, name: string) => pm.resumeSource(name),
    done: (name) => `${name} follows its ref again`,
    failed: (name) => `${name} was not resumed`,
    stale: afterChange,
  });
}

export function useRollbackSource(onDone: () => void) {
  return useAction({
    run: (pm, input: { readonly name: string; readonly commit: string }) => pm.rollbackSource(input.name, input.commit),
    done: ({ name, commit }) => `${name} goes back to ${shortCommit(commit)}`,
    failed: ({ name }) => `${name} was not rolled back`,
    stale: afterChange,
    onDone,
  });
}

export function usePutSource(onDone: () => void) {
  return useAction({
    run: (pm, input: SourceInput) => pm.putSource(input),
    done: ({ name }) => `${name} is saved`,
    failed: ({ name }) => `${name} was not saved`,
    stale: afterChange,
    onDone,
  });
}

export function useDeleteSource(onDone: () => void) {
  return useAction({
    run: (pm, name: string) => pm.deleteSource(name),
    done: (name) => `${name} is deleted`,
    failed: (name) => `${name} was not deleted`,
    stale: afterChange,
    onDone,
  });
}
