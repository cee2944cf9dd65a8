import type { DeploymentRecordView } from '@oaas/commons/client/pm';

type Named = Pick<DeploymentRecordView, 'id' | 'package_name' | 'class_key' | 'target_environment' | 'deployment_key'>;

/** `package.Class`, as the class is called on the wire. */
export function recordTitle(record: Pick<Named, 'package_name' | 'class_key'>): string {
  return `${record.package_name}.${record.class_key}`;
}

export function recordPath(record: Pick<Named, 'id'>): string {
  return `/deployments/${encodeURIComponent(record.id)}`;
}

export function gridPath(record: Pick<Named, 'target_environment' | 'id'>): string {
  return `/grid/${encodeURIComponent(record.target_environment)}/${encodeURIComponent(record.id)}`;
}

/** What a person reads of a commit. */
export function shortCommit(commit: string): string {
  return commit.slice(0, 8);
}
