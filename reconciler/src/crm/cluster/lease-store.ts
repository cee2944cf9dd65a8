import { isOaasError } from '@oaas/commons/errors';
import type { LeaseRecord, LeaseStore } from '../../controller/index.ts';
import { kinds, type KubernetesApi, type KubeObject } from '../../kubernetes/index.ts';
import { microTime } from './event-sink.ts';

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** Time for one call: several must fit into the deadline for renewing. */
const timeoutMs = 5000;

/** A coordination.k8s.io Lease. */
export function leaseStore(api: KubernetesApi, key: { readonly namespace: string; readonly name: string }): LeaseStore {
  return {
    async read(signal) {
      try {
        const lease = (await api.get(kinds.lease, key, { signal, timeoutMs })) as Lease;
        return { record: toRecord(lease), version: lease.metadata.resourceVersion ?? '' };
      } catch (error) {
        if (isOaasError(error, 'NotFound')) return undefined;
        throw error;
      }
    },
    async write(record, version, signal) {
      const lease: KubeObject = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { ...key, ...(version === undefined ? {} : { resourceVersion: version }) },
        spec: { ...record, acquireTime: microTime(record.acquireTime), renewTime: microTime(record.renewTime) },
      };
      const writing = { fieldManager: 'oaas-crm', signal, timeoutMs };
      if (version === undefined) await api.create(kinds.lease, lease, writing);
      else await api.update(kinds.lease, lease, writing);
    },
  };
}

function toRecord({ spec }: Lease): LeaseRecord {
  const time = (text: string | undefined) => (text === undefined ? 0 : Date.parse(text));
  return {
    holderIdentity: spec?.holderIdentity ?? '',
    leaseDurationSeconds: spec?.leaseDurationSeconds ?? 0,
    acquireTime: time(spec?.acquireTime),
    renewTime: time(spec?.renewTime),
    leaseTransitions: spec?.leaseTransitions ?? 0,
  };
}
