import type { KubeObject } from '../../kubernetes/index.ts';

/** An Event of events.k8s.io/v1, also as older writers fill it. */
export interface KubeEvent extends KubeObject {
  readonly regarding?: { readonly kind?: string; readonly name?: string; readonly uid?: string };
  readonly type?: string;
  readonly reason?: string;
  readonly note?: string;
  readonly eventTime?: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
  readonly deprecatedCount?: number;
  readonly deprecatedFirstTimestamp?: string | null;
  readonly deprecatedLastTimestamp?: string | null;
}

/**
 * Name of the record that an event is about: its own name, or the start of a child's, which all are called
 * `<record>-odgm…` or `<record>-fn-…`. Volume claims are called `data-<pod>`.
 */
export function recordOfEvent(event: KubeEvent): string | undefined {
  const { kind, name } = event.regarding ?? {};
  if (name === undefined) return undefined;
  if (kind === 'DeploymentRecord') return name;
  const own = kind === 'PersistentVolumeClaim' ? name.replace(/^data-/, '') : name;
  return /^(.+?)-(?:odgm(?:-|$)|fn-)/.exec(own)?.[1];
}

/** When it was seen first and last, RFC 3339, and how often. */
export function eventTimes(event: KubeEvent): {
  readonly first: string;
  readonly last: string;
  readonly count: number;
} {
  const created = event.metadata.creationTimestamp ?? '';
  const first = event.deprecatedFirstTimestamp ?? event.eventTime ?? created;
  const last = event.series?.lastObservedTime ?? event.deprecatedLastTimestamp ?? first;
  return { first, last, count: event.series?.count ?? event.deprecatedCount ?? 1 };
}
