import type { CallContext, ServiceHandlers } from '@oaas/commons/grpc';
import type { JsonValue } from '@oaas/commons/errors';
import type { admin } from '@oaas/proto';
import { actions } from './actions.ts';
import type { Caller } from './caller.ts';
import type { VersionMethod } from './version-calls.ts';
import type { VersionHolders } from './version-holders.ts';

export interface GridVersionsOptions {
  readonly holders: VersionHolders;
  readonly callerOf: (context: CallContext, actor?: string) => Caller;
  /** Refuses callers that may not read the collection. */
  readonly allow: (context: CallContext, collection: string | undefined) => Promise<void>;
  /** The same, and records the call. */
  readonly changing: <T>(
    context: CallContext,
    action: string,
    resource: string,
    diff: JsonValue,
    run: (actor: string) => Promise<T>,
  ) => Promise<T>;
}

/** Versions and branches of collections of type mst, as `/admin/collections/:name/versions` and `/branches` have them. */
export function gridVersions({
  holders,
  callerOf,
  allow,
  changing,
}: GridVersionsOptions): Required<Pick<ServiceHandlers<typeof admin.GridAdminDefinition>, VersionMethod>> {
  const resourceOf = (of: admin.VersionsRequest | undefined): string => `collection/${of?.collection ?? ''}`;
  return {
    listVersions: async (of, context) => {
      await allow(context, of.collection);
      return holders.ask(of, callerOf(context), (versions, options) => versions.listVersions(of, options));
    },
    recordVersion: (request, context) => {
      const { of, label } = request;
      return changing(context, actions.recordVersion, resourceOf(of), { label }, (actor) =>
        holders.ask(of, callerOf(context, actor), (versions, options) => versions.recordVersion(request, options)),
      );
    },
    labelVersion: (request, context) => {
      const { of, sequence, label } = request;
      return changing(context, actions.labelVersion, resourceOf(of), { sequence, label }, (actor) =>
        holders.ask(of, callerOf(context, actor), (versions, options) => versions.labelVersion(request, options)),
      );
    },
    diffVersions: async (request, context) => {
      const { of } = request;
      await allow(context, of?.collection);
      return holders.ask(of, callerOf(context), (versions, options) => versions.diffVersions(request, options));
    },
    getObjectAt: async (request, context) => {
      const { of } = request;
      await allow(context, of?.collection);
      return holders.ask(of, callerOf(context), (versions, options) => versions.getObjectAt(request, options));
    },
    createBranch: (request, context) => {
      const { of, branch, from } = request;
      return changing(context, actions.createBranch, resourceOf(of), { branch, from }, (actor) =>
        holders.ask(of, callerOf(context, actor), (versions, options) => versions.createBranch(request, options)),
      );
    },
    deleteBranch: (request, context) => {
      const { of, branch } = request;
      return changing(context, actions.deleteBranch, resourceOf(of), { branch }, (actor) =>
        holders.ask(of, callerOf(context, actor), (versions, options) => versions.deleteBranch(request, options)),
      );
    },
    writeBranch: (request, context) => {
      const { of, branch, objectId } = request;
      return changing(context, actions.writeBranch, resourceOf(of), { branch, objectId }, (actor) =>
        holders.ask(of, callerOf(context, actor), (versions, options) => versions.writeBranch(request, options)),
      );
    },
    mergeBranch: async (request, context) => {
      const { of, branch, policy, dryRun } = request;
      const merge = (actor?: string) =>
        holders.ask(of, callerOf(context, actor), (versions, options) => versions.mergeBranch(request, options));
      if (!dryRun) return changing(context, actions.mergeBranch, resourceOf(of), { branch, policy }, merge);
      await allow(context, of?.collection);
      return merge();
    },
  };
}
