import type { ResourceType } from '@oaas/reconciler/kubernetes';
import { group, version } from '@oaas/reconciler/record';

export const recordType: ResourceType = {
  group,
  version,
  kind: 'DeploymentRecord',
  plural: 'deploymentrecords',
  namespaced: true,
};
